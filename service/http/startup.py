"""Opening the engine while the service already answers for its health, and closing it at the end.

``app.state.service`` is there once the engine is; until then every route that needs it answers
503.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import FastAPI

from service.engine.search_engine import SearchEngine, open_engine
from service.http.settings import Settings
from service.http.state import ServiceState

logger = logging.getLogger(__name__)

SWEEP_S = 30.0
"""How often expired uploads are freed when nobody asks for one."""

OnFailure = Callable[[Exception], None]


def log_failure(error: Exception) -> None:
    """Says in the log that the engine cannot be opened."""
    logger.error("the index or its encoder cannot be opened", exc_info=error)


@asynccontextmanager
async def serving(
    app: FastAPI, settings: Settings, *, engine: SearchEngine | None, on_failure: OnFailure
) -> AsyncIterator[None]:
    """The time between start and end of the service.

    A given engine is ready at once and stays open; without one the settings' index is opened on a
    thread, and closed at the end. ``on_failure`` is told why that failed.
    """
    app.state.health_threads = CapacityLimiter(2)
    async with AsyncExitStack() as held:
        start = _Start(app, settings, held)
        if engine is not None:
            start.make_ready(engine)
        else:
            loading = asyncio.create_task(start.load(on_failure))
            # A thread cannot be stopped: what is being opened is closed when it is open.
            held.push_async_callback(asyncio.wait, [loading])
        yield


class _Start:
    """Makes one application ready; ``held`` closes what it opened, last first."""

    def __init__(self, app: FastAPI, settings: Settings, held: AsyncExitStack) -> None:
        self._app = app
        self._settings = settings
        self._held = held

    async def load(self, on_failure: OnFailure) -> None:
        settings = self._settings
        opening = partial(
            open_engine,
            settings.index,
            settings.models,
            milvus=settings.milvus,
            approximate=settings.approximate,
            write_wait_s=settings.write_wait_s,
        )
        try:
            opened = await anyio.to_thread.run_sync(opening)
            self._held.callback(opened.index.close)
            await anyio.to_thread.run_sync(opened.index.preload)
            self.make_ready(opened)
        except Exception as error:
            on_failure(error)
            return
        warning = opened.matcher.warning_for(opened.encoder.fingerprint)
        if warning is not None:
            logger.warning("%s", warning)
        logger.info("ready", extra={"fields": {"lesions": opened.index.count()}})

    def make_ready(self, engine: SearchEngine) -> None:
        state = ServiceState(engine, self._settings, self._app.state.metrics)
        self._held.enter_context(state.decoders)
        state.decoders.prestart()
        self._held.callback(state.mining.close)
        sweeping = asyncio.create_task(_sweep(state))
        self._held.push_async_callback(_cancelled, sweeping)
        self._app.state.service = state


async def _sweep(state: ServiceState) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        state.uploads.forget_expired()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
