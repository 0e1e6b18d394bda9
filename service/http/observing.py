"""Every request observed: its id, one log line, the metrics, and a problem where it failed."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.metrics import ServiceMetrics
from service.http.problems import problem
from service.logs import REQUEST_ID

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = "x-request-id"
FAILED = "the service failed on this request; its log says where, under the request's id"

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class ObserveRequests:
    """The outermost layer: what the others refuse is counted and logged too.

    A request's own ``X-Request-ID`` is kept where it is 1 to 64 letters, digits, dots, dashes or
    underscores; otherwise a new one is made. The answer carries it, and so does a problem.
    """

    def __init__(self, app: ASGIApp, *, metrics: ServiceMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        token = REQUEST_ID.set(request_id)
        answer = _Answer(send, request_id)
        start = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, answer.send)
        except Exception as defect:
            logger.error("a request failed", exc_info=defect, extra={"fields": _asked(scope)})
            if answer.status is None:
                await problem(500, FAILED)(scope, receive, answer.send)
        finally:
            self._metrics.in_flight.dec()
            self._report(scope, answer, time.perf_counter() - start)
            REQUEST_ID.reset(token)

    def _report(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        asked = _asked(scope)
        # No status: the client went away before there was an answer.
        status = 499 if answer.status is None else answer.status
        self._metrics.requests.labels(**asked, status=str(status)).inc()
        self._metrics.seconds.labels(asked["route"]).observe(seconds)
        fields = {**asked, "status": status, "ms": round(seconds * 1000, 2), "bytes": answer.bytes}
        logger.info("request", extra={"fields": fields})


class _Answer:
    """Passes an answer on with the request's id, and remembers its status and size."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._header = (REQUEST_ID_HEADER.encode(), request_id.encode())
        self.status: int | None = None
        self.bytes = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], self._header]
        self.bytes += len(message.get("body", b""))
        await self._send(message)


def _request_id(scope: Scope) -> str:
    sent = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return sent if _SANE_ID.fullmatch(sent) else uuid.uuid4().hex


def _asked(scope: Scope) -> dict[str, str]:
    """Method and route template: the path itself holds ids."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    template = getattr(scope.get("route"), "path", None)
    if template is None:
        template = "/web" if scope["path"].startswith("/web/") else "unmatched"
    return {"method": method, "route": template}
