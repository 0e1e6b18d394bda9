"""The FastAPI application: routes, problem documents, limits, and the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio.to_thread
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.engine import SearchEngine, open_engine
from service.map_routes import map_router
from service.problems import install_problem_handlers, problem
from service.routes import router
from service.settings import Settings
from service.state import WEB_FOLDER, ServiceState
from service.track_routes import track_router
from service.upload_routes import upload_router
from service.viewer_routes import viewer_router

SECURITY_HEADERS = {
    b"content-security-policy": b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}


def create_app(settings: Settings, *, engine: SearchEngine | None = None) -> FastAPI:
    """The service over an index; it opens the settings' index unless an engine is given."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = engine
        if opened is None:
            opening = partial(
                open_engine, settings.index, settings.encoder, matcher=settings.matcher
            )
            opened = await anyio.to_thread.run_sync(opening)
        state = app.state.service = ServiceState(opened, settings)
        with state.decoders:
            state.decoders.prestart()
            yield
        if engine is None:
            opened.index.close()

    app = FastAPI(
        title="Lesion Search",
        description="Similar lesions on CT, and a lesion over time. Not a medical device.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for part in (router, track_router, upload_router, viewer_router, map_router):
        app.include_router(part)
    app.mount("/web", StaticFiles(directory=WEB_FOLDER))
    install_problem_handlers(app)
    app.add_middleware(RequestLimits, max_body_bytes=settings.max_body_mb << 20)
    return app


class RequestLimits:
    """Bounds a request's body, declared or not, and adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SECURITY_HEADERS.items()]
            await send(message)

        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > self._max:
            await problem(413, self._refusal())(scope, receive, send_with_headers)
            return
        await self._app(scope, self._counted(receive), send_with_headers)

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max:
                raise HTTPException(413, self._refusal())
            return message

        return receive_within_limit

    def _refusal(self) -> str:
        return f"the request is larger than {self._max >> 20} MB: send a smaller image"
