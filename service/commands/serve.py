"""``lesion-search serve``: the HTTP service."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.lesion import LesionSearchError
from service.commands.option_groups import with_groups
from service.commands.options import IndexOption, ModelOptions, VectorOptions, VocabularyOption
from service.console import say

if TYPE_CHECKING:
    from service.http.settings import Settings


class CertificateError(LesionSearchError):
    """A TLS certificate or its key that is not there."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("serve")(with_groups(serve))


def serve(
    *,
    index: IndexOption,
    models: ModelOptions,
    vectors: VectorOptions,
    vocabulary: VocabularyOption = None,
    host: Annotated[
        str, typer.Option(envvar="LESION_SEARCH_HOST", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=1, max=65535, envvar="LESION_SEARCH_PORT", help="The port to listen on."),
    ] = 8000,
    token: Annotated[
        bool,
        typer.Option(
            envvar="LESION_SEARCH_TOKEN",
            help="Ask for the token of this start where no keys are asked for; --no-token opens "
            "the service to every account and program of this machine.",
        ),
    ] = True,
    keys: Annotated[
        Path | None,
        typer.Option(
            envvar="LESION_SEARCH_KEYS",
            help="The file of API keys (`lesion-search keys`); needed beyond loopback.",
        ),
    ] = None,
    audit_log: Annotated[
        Path | None,
        typer.Option(
            envvar="LESION_SEARCH_AUDIT_LOG",
            help="The file of the audit log; beside the file of keys where there is one.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(envvar="LESION_SEARCH_CERTIFICATE", help="A TLS certificate (PEM)."),
    ] = None,
    certificate_key: Annotated[
        Path | None,
        typer.Option(envvar="LESION_SEARCH_CERTIFICATE_KEY", help="The certificate's key (PEM)."),
    ] = None,
) -> None:
    """Serve the search page and the HTTP API until Ctrl-C."""
    from service.http.settings import Settings

    # An option that is not given leaves its setting to the environment.
    named: dict[str, Any] = {
        name: file for name, file in asdict(models).items() if file is not None
    }
    if vocabulary is not None:
        named["vocabulary"] = vocabulary
    run_service(
        Settings(
            index=index,
            **named,
            approximate=vectors.approximate,
            milvus_uri=vectors.milvus or "",
            milvus_collection=vectors.collection,
            host=host,
            port=port,
            keys=keys,
            token=token,
            audit_log=audit_log,
            certificate=certificate,
            certificate_key=certificate_key,
        )
    )


def run_service(settings: Settings) -> None:
    """Serves an index until the process is stopped; requests that are being answered finish.

    The service answers for its health at once and is ready when the index is open.

    Raises:
        LesionSearchError: the index, its encoder or the file of keys cannot be opened, or other
            machines could reach the service without a key.
    """
    from service.http.guards.install import is_loopback, open_key_ring
    from service.logs import announce, configure_logs

    # Before torch is loaded: a missing key, or the address, is one line at once.
    open_key_ring(settings)
    scheme = _scheme(settings)
    if scheme == "http" and not is_loopback(settings.host):
        say(
            f"warning: keys and images reach {settings.host} unencrypted: give a --certificate, or "
            "put a proxy with TLS before the service"
        )
    settings = _with_start_token(settings)
    address = f"{scheme}://{settings.host}:{settings.port}"
    announce(f"Lesion Search on {address} (Ctrl-C ends it)", address=address)
    if settings.start_token is not None:
        link = f"{address}/?token={settings.start_token}"
        announce(f"open {link}", link=link)
    announce(f"opening {settings.index} ...", index=settings.index)
    import torch
    import uvicorn

    from service.http.app import create_app
    from service.http.guards.connections import server_config

    # Requests compute side by side, each on one thread: a second thread for one small patch spins
    # against the others (encoding 18 ms with one, 1,263 ms with two on two busy cores).
    torch.set_num_threads(1)
    failures: list[Exception] = []

    def stop(failure: Exception) -> None:
        failures.append(failure)
        server.should_exit = True

    configure_logs(settings.log_level)
    config = server_config(create_app(settings, on_failure=stop), settings)
    server = uvicorn.Server(config)
    # Both signals are how the service ends; uvicorn finishes its requests, then raises them again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.run()
    if failures:
        raise failures[0]


def _with_start_token(settings: Settings) -> Settings:
    """The settings with the token of this start, where one is asked for."""
    from service.http.guards.start_token import new_start_token

    if settings.keys is not None or not settings.token:
        return settings.model_copy(update={"start_token": None})
    return settings.model_copy(update={"start_token": settings.start_token or new_start_token()})


def _scheme(settings: Settings) -> str:
    """``https`` where a certificate is given; raises CertificateError for one that cannot be."""
    if settings.certificate is None and settings.certificate_key is None:
        return "http"
    for file in (settings.certificate, settings.certificate_key):
        if file is None or not file.is_file():
            raise CertificateError(
                f"TLS needs both files, --certificate and --certificate-key: {file} is missing"
            )
    return "https"
