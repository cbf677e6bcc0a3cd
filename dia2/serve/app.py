"""The application: which address leads to what."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from dia2.common.errors import Dia2Error
from dia2.engine import Dia2
from dia2.serve import about, looking, page
from dia2.serve.access import Access
from dia2.serve.errors import forget, handle
from dia2.serve.limits import Limits
from dia2.serve.room import Room
from dia2.serve.runs import Runs
from dia2.serve.schema import openapi
from dia2.serve.socket import stream
from dia2.serve.speaker import Speaker
from dia2.serve.speech import speech
from dia2.serve.uploads import upload
from dia2.serve.voices import Voices


def application(
    tts: Dia2,
    *,
    model: str | None = None,
    limits: Limits | None = None,
    voices: Path | None = None,
    whisper: str = "turbo",
    runs: Path | None = None,
    token: str | None = None,
    local: bool = True,
    use_cuda_graph: bool = False,
    use_torch_compile: bool = False,
) -> Starlette:
    """A server of one checkpoint, for any ASGI host. It loads when it starts, and answers meanwhile.

    Args:
        tts: the checkpoint.
        model: its id; `None`: its name.
        limits: what is let in.
        voices: a folder of `.voice` files.
        whisper: the checkpoint that listens to recordings that are sent.
        runs: where recorded runs are kept; `None`: in a folder of this process, which goes with it.
        token: which clients send.
        local: only this machine reaches it.
        use_cuda_graph: how frames are computed.
        use_torch_compile: likewise.
    """
    limits = limits or Limits()
    speaker = Speaker(
        tts,
        rows=limits.rows,
        queue=limits.queue,
        use_cuda_graph=use_cuda_graph,
        use_torch_compile=use_torch_compile,
    )

    own = tempfile.TemporaryDirectory(prefix="dia2-runs-") if runs is None else None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        speaker.start()
        try:
            yield
        finally:
            await to_thread.run_sync(speaker.stop, limits.grace)
            if own is not None:
                own.cleanup()

    app = Starlette(
        routes=[
            Route("/v1/audio/speech", speech, methods=["POST"]),
            WebSocketRoute("/v1/audio/stream", stream),
            Route("/v1/audio/voices", voices_of, methods=["GET", "POST"]),
            Route("/v1/models", about.models),
            Route("/v1/models/{model:path}", about.model),
            Route("/v1/runs", looking.runs),
            Route("/v1/runs/{id}/view", looking.view),
            Route("/v1/runs/{id}/sound.flac", looking.sound),
            Route("/v1/runs/{id}/subtitles.srt", looking.words),
            Route("/v1/runs/{id}/trace.zip", looking.trace),
            Route("/openapi.json", openapi),
            Route("/v1/script", page.script, methods=["POST"]),
            *page.ROUTES,
            Route("/healthz", about.healthz),
            Route("/readyz", about.readyz),
            Route("/metrics", about.metrics),
        ],
        middleware=[Middleware(Access, token, local)],
        exception_handlers={
            HTTPException: handle,
            Dia2Error: handle,
            ClientDisconnect: forget,
            Exception: handle,
        },
        lifespan=lifespan,
    )
    kept = Runs(Path(own.name) if own is not None else runs or Path(), limits.runs)
    app.state.room = Room(model or tts.name, speaker, Voices(voices, whisper), kept, limits, int(time.time()))
    return app


async def voices_of(http: Request) -> Response:
    """`/v1/audio/voices`."""
    return await (upload if http.method == "POST" else about.voices)(http)
