"""``lesion-search serve``: the HTTP service."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import EncoderOption, IndexOption, MatcherOption
from service.console import say, warn

if TYPE_CHECKING:
    from service.settings import Settings

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("serve")(serve)


def serve(
    index: IndexOption,
    encoder: EncoderOption = None,
    matcher: MatcherOption = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Serve the search page and the HTTP API until Ctrl-C."""
    from service.settings import Settings

    run_service(Settings(index=index, encoder=encoder, matcher=matcher, host=host, port=port))


def run_service(settings: Settings) -> None:
    """Opens the index, then serves it until the process is stopped.

    The engine is opened first, so that a wrong index or encoder is one line and not a server that
    dies at start.
    """
    import torch
    import uvicorn

    from service.app import create_app
    from service.engine import open_engine

    # Requests compute side by side, each on one thread: a second thread for one small patch spins
    # against the others (encoding 18 ms with one, 1,263 ms with two on two busy cores).
    torch.set_num_threads(1)
    engine = open_engine(settings.index, settings.encoder, matcher=settings.matcher)
    warn([engine.matcher.warning_for(engine.encoder.fingerprint)])
    if settings.host not in LOOPBACK:
        say(
            f"warning: {settings.host} can be reached from other machines, and the service asks "
            "nobody for a key"
        )
    say(f"Lesion Search on http://{settings.host}:{settings.port} (Ctrl-C ends it)")
    # Ctrl-C is how the service ends; uvicorn finishes its requests, then raises it again.
    with engine.index, suppress(KeyboardInterrupt):
        uvicorn.run(
            create_app(settings, engine=engine),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            server_header=False,
        )
