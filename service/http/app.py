"""The FastAPI application: routes, problem documents, guards, and the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from service.engine.search_engine import SearchEngine
from service.http.examples.document import operation_id, with_examples
from service.http.guards.install import install_guards
from service.http.metrics import ServiceMetrics
from service.http.observing import ObserveRequests
from service.http.problems import install_problem_handlers
from service.http.routes.detection import detection_router
from service.http.routes.exchange.dicomweb import install_dicomweb
from service.http.routes.exchange.reports import report_router
from service.http.routes.facts.capabilities import capabilities_router
from service.http.routes.facts.categories import categories_router
from service.http.routes.facts.similarity import similarity_router
from service.http.routes.facts.vocabulary import vocabulary_router
from service.http.routes.follow import follow_router
from service.http.routes.forecast import forecast_router
from service.http.routes.health import health_router
from service.http.routes.lesions import lesion_router
from service.http.routes.map import map_router
from service.http.routes.measure import measure_router
from service.http.routes.mining import install_mining
from service.http.routes.page import WEB_FOLDER, page_router
from service.http.routes.search import router
from service.http.routes.tracks import track_router
from service.http.routes.uploads import upload_router
from service.http.routes.viewer import viewer_router
from service.http.settings import Settings
from service.http.startup import OnFailure, log_failure, serving

ROUTERS = (
    router,
    similarity_router,
    detection_router,
    lesion_router,
    follow_router,
    forecast_router,
    measure_router,
    track_router,
    upload_router,
    viewer_router,
    map_router,
    vocabulary_router,
    capabilities_router,
    categories_router,
    report_router,
    health_router,
    page_router,
)


def create_app(
    settings: Settings,
    *,
    engine: SearchEngine | None = None,
    on_failure: OnFailure = log_failure,
) -> FastAPI:
    """The service over an index; it opens the settings' index unless an engine is given.

    ``on_failure`` is told why that index or its encoder cannot be used.

    Raises:
        ExposedServiceError: other machines could reach it without a key.
        KeyFileError: its file of keys cannot be used.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with serving(app, settings, engine=engine, on_failure=on_failure):
            yield

    app = FastAPI(
        title="Lesion Search",
        description="Similar lesions on CT, and a lesion over time. Not a medical device.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    app.state.metrics = ServiceMetrics()
    for part in ROUTERS:
        app.include_router(part)
    install_dicomweb(app)
    install_mining(app)
    app.openapi = with_examples(app)  # type: ignore[method-assign]
    app.mount("/web", StaticFiles(directory=WEB_FOLDER))
    install_problem_handlers(app)
    install_guards(app, settings)
    # Added last, so outermost: what the layers below refuse is counted and logged as well.
    app.add_middleware(ObserveRequests, metrics=app.state.metrics)
    return app
