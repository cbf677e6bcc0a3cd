"""The application: which address leads to what."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from dia2.common.errors import Dia2Error
from dia2.engine import Dia2
from dia2.serve import about
from dia2.serve.access import Access
from dia2.serve.errors import handle
from dia2.serve.limits import Limits
from dia2.serve.room import Room
from dia2.serve.speaker import Speaker
from dia2.serve.speech import speech
from dia2.serve.voices import Voices


def application(
    tts: Dia2,
    *,
    model: str | None = None,
    limits: Limits | None = None,
    voices: Path | None = None,
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

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        speaker.start()
        try:
            yield
        finally:
            await to_thread.run_sync(speaker.stop, limits.grace)

    app = Starlette(
        routes=[
            Route("/v1/audio/speech", speech, methods=["POST"]),
            Route("/v1/audio/voices", about.voices),
            Route("/v1/models", about.models),
            Route("/v1/models/{model:path}", about.model),
            Route("/healthz", about.healthz),
            Route("/readyz", about.readyz),
            Route("/metrics", about.metrics),
        ],
        middleware=[Middleware(Access, token, local)],
        exception_handlers={HTTPException: handle, Dia2Error: handle, Exception: handle},
        lifespan=lifespan,
    )
    app.state.room = Room(model or tts.name, speaker, Voices(voices), limits, int(time.time()))
    return app
