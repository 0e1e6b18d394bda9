"""The guards of an application, in their order."""

from __future__ import annotations

import ipaddress
import weakref

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from retrieval.lesion import LesionSearchError
from service.http.guards.access import Access
from service.http.guards.audit import Audit, AuditLog
from service.http.guards.bodies import BodyLimits, BodyPace
from service.http.guards.crowd import CrowdLimit, Places
from service.http.guards.headers import SecurityHeaders
from service.http.guards.keys import KeyRing
from service.http.guards.origins import LOOPBACK_NAMES, OriginCheck
from service.http.guards.rates import TokenBuckets
from service.http.guards.start_token import StartToken
from service.http.settings import Settings

REQUESTS_PER_S = 100.0
"""Of one client, where keys are asked for: a viewer that scrolls asks for 30 slices a second."""


CLIENT_SHARE = 4
"""Where keys are asked for, one client has at most this part of the places: a quarter."""


class ExposedServiceError(LesionSearchError):
    """A service that other machines could reach without a key."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def open_key_ring(settings: Settings) -> KeyRing | None:
    """The keys that the service asks for; None where it asks for none.

    Raises:
        ExposedServiceError: it listens beyond loopback and has no file of keys.
        KeyFileError: the file cannot be used, or has no active key.
    """
    if settings.keys is not None:
        return KeyRing(settings.keys)
    if not is_loopback(settings.host):
        raise ExposedServiceError(
            f"{settings.host} can be reached from other machines: make a key with `lesion-search "
            "keys add NAME --keys FILE` and serve with --keys FILE, or listen on 127.0.0.1"
        )
    return None


def install_guards(app: FastAPI, settings: Settings) -> None:
    """Adds every guard; the last one added meets a request first.

    Raises:
        AuditError: the audit log cannot be written; and as ``open_key_ring``.
    """
    keys = open_key_ring(settings)
    app.state.places = Places(settings.max_concurrent, per_client=_share(settings, keys))
    app.add_middleware(
        BodyLimits,
        max_bytes=settings.max_body_mb << 20,
        pace=BodyPace(settings.body_idle_s, settings.min_bytes_per_s),
    )
    app.add_middleware(CrowdLimit, places=app.state.places)
    token = None if settings.start_token is None else StartToken(settings.start_token)
    app.add_middleware(Access, keys=keys, token=token, buckets=_buckets(settings, keys))
    app.add_middleware(
        OriginCheck,
        hosts=_hosts(settings),
        origins=settings.cors_origins,
        asks_for_keys=keys is not None,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
        )
    if settings.audit_file is not None:
        log = AuditLog(settings.audit_file)
        weakref.finalize(app, log.close)
        app.add_middleware(Audit, log=log)
    app.add_middleware(SecurityHeaders, shared=bool(settings.cors_origins))


def _share(settings: Settings, keys: KeyRing | None) -> int:
    if settings.max_per_client is not None:
        return settings.max_per_client
    most = settings.max_concurrent
    return most if keys is None else max(1, most // CLIENT_SHARE)


def _hosts(settings: Settings) -> frozenset[str] | None:
    if not is_loopback(settings.host) and not settings.allowed_hosts:
        return None
    named = {host.lower() for host in settings.allowed_hosts}
    return LOOPBACK_NAMES | named | {settings.host.strip("[]").lower()}


def _buckets(settings: Settings, keys: KeyRing | None) -> TokenBuckets | None:
    per_second = settings.requests_per_s
    if per_second is None:
        per_second = 0.0 if keys is None else REQUESTS_PER_S
    return TokenBuckets(per_second, settings.request_burst) if per_second else None
