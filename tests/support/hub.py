"""A Hugging Face Hub of local folders, served over HTTP on 127.0.0.1.

The tests run the real `huggingface_hub` and `transformers` clients against it, so what they ask for, what they cache
and how they fail is theirs and not a mock's.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

_BRANCH = "main"

# Set by whoever runs the tests, these lead a client past the stand-in: to another cache, to an account, to a proxy, or
# to no network at all.
_LEAKING_PREFIXES = ("HF_", "HUGGINGFACE_", "HUGGING_FACE_", "TRANSFORMERS_")
_LEAKING_SUFFIX = "_PROXY"

_STOP_POLL_S = 0.01  # how often the server looks whether it is to stop; each test waits for that once


class FakeHub:
    """Serves `repos` (repository id "owner/name" → local folder) until its `with` block ends.

    The folders are read at each request: after a file has changed they are a new commit, as after a push. `requests`
    lists what was asked for as (method, path).
    """

    def __init__(self, repos: Mapping[str, Path]) -> None:
        self.repos = dict(repos)
        self.requests: list[tuple[str, str]] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_STOP_POLL_S,), daemon=True)

    @property
    def url(self) -> str:
        """Its address, the value for `HF_ENDPOINT`; once the block has ended, connections to it are refused."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def env(self, cache_dir: Path) -> dict[str, str]:
        """Return the environment for a subprocess whose clients use this hub and keep their cache in `cache_dir`.

        A subprocess, because the clients read their environment only once, when they are imported.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(_LEAKING_PREFIXES) and not name.upper().endswith(_LEAKING_SUFFIX)
        }
        return kept | {
            "DISABLE_SAFETENSORS_CONVERSION": "1",  # transformers asks a web service for safetensors it does not find
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(cache_dir),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_XET": "1",
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply(self, path: str) -> _Reply:
        """Return the answer to a GET of `path`, which is still percent-encoded."""
        match [unquote(part) for part in path.strip("/").split("/")]:
            case [owner, name, "resolve", revision, *file]:
                view = "resolve"
            case ["api", "models", owner, name]:
                view, revision, file = "revision", _BRANCH, []
            case ["api", "models", owner, name, "revision" | "tree" as view, revision, *file]:
                pass
            case _:
                return _error("", f"this hub has no page {path}")
        repo_id, inside = f"{owner}/{name}", "/".join(file)
        if repo_id not in self.repos:
            return _error("RepoNotFound", "Repository not found")
        repo = _read(repo_id, self.repos[repo_id])
        if revision not in (_BRANCH, repo.commit):
            return _error("RevisionNotFound", f"Invalid rev id: {revision}")
        return {"resolve": _file, "revision": _description, "tree": _listing}[view](repo, inside)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: FakeHub) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.wfile.write(self._send_head().body)

    def do_HEAD(self) -> None:
        self._send_head()

    def _send_head(self) -> _Reply:
        path = urlsplit(self.path).path
        self.server.hub.requests.append((self.command, path))
        reply = self.server.hub.reply(path)
        self.send_response(reply.status)
        for name, value in (reply.headers | {"Content-Length": str(len(reply.body))}).items():
            self.send_header(name, value)
        self.end_headers()
        return reply

    def log_message(self, format: str, *args: Any) -> None:
        """Keep access lines out of the tests' output; `FakeHub.requests` has them."""


class _Repo(NamedTuple):
    """What a folder holds now: its files by name, and the commit they make up."""

    repo_id: str
    files: dict[str, bytes]
    commit: str


class _Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def _read(repo_id: str, folder: Path) -> _Repo:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    digests = sorted((name, _digest(body)) for name, body in files.items())
    return _Repo(repo_id, files, hashlib.sha1(f"{repo_id} {digests}".encode()).hexdigest())


def _file(repo: _Repo, name: str) -> _Reply:
    if name not in repo.files:
        return _error("EntryNotFound", "Entry not found", repo)
    body = repo.files[name]
    etag = f'"{_digest(body)}"'
    headers = {"ETag": etag, "X-Linked-ETag": etag, "X-Linked-Size": str(len(body)), "X-Repo-Commit": repo.commit}
    return _Reply(200, headers, body)


def _description(repo: _Repo, _: str) -> _Reply:
    siblings = [{"rfilename": name} for name in sorted(repo.files)]
    return _json({"id": repo.repo_id, "modelId": repo.repo_id, "sha": repo.commit, "siblings": siblings})


def _listing(repo: _Repo, folder: str) -> _Reply:
    """List all files below `folder`, its own folders' too, whether or not the client asks for those."""
    below = {name: body for name, body in repo.files.items() if not folder or name.startswith(f"{folder}/")}
    if not below:
        return _error("EntryNotFound", f"{folder} does not exist", repo)
    return _json(
        [{"type": "file", "path": name, "size": len(body), "oid": _digest(body)} for name, body in below.items()]
    )


def _error(code: str, message: str, repo: _Repo | None = None) -> _Reply:
    """Return a 404 that tells the client what is missing, and for a file in which commit: it remembers that."""
    commit = {} if repo is None else {"X-Repo-Commit": repo.commit}
    headers = {"Content-Type": "application/json", "X-Error-Code": code, "X-Error-Message": message}
    return _Reply(404, headers | commit, json.dumps({"error": message}).encode())


def _json(value: object) -> _Reply:
    return _Reply(200, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
