"""The OpenAPI document has every address, and every status that one of them gives."""

from __future__ import annotations

import httpx
from starlette.routing import Route


def test_the_document_has_every_address(client: httpx.Client) -> None:
    app = client.app  # type: ignore[attr-defined]  # see `served`
    routes = {
        (route.path.replace("{model:path}", "{model}"), method.lower())
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    paths = client.get("/openapi.json").json()["paths"]
    assert {(path, method) for path, methods in paths.items() for method in methods} == routes


def test_it_says_what_is_let_in(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    body = document["components"]["schemas"]["SpeechBody"]
    assert body["properties"]["model"]["enum"] == ["tiny"]
    assert body["properties"]["voice"]["enum"] == ["default"]
    assert body["properties"]["input"]["maxLength"] == 4096
    assert body["additionalProperties"] is False
    upload = document["paths"]["/v1/audio/voices"]["post"]
    assert list(upload["requestBody"]["content"]) == ["multipart/form-data"]
    assert {"201", "400", "401", "403", "408", "409", "413", "415", "429"} <= set(upload["responses"])
    assert "Retry-After" in upload["responses"]["429"]["headers"]


def test_another_method_says_which_there_are(client: httpx.Client) -> None:
    answer = client.put("/v1/audio/voices")
    assert answer.status_code == 405
    assert answer.json()["error"]["message"] == "Method Not Allowed."
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "POST"}
