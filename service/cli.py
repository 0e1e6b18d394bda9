"""The command ``lesion-search``: one typer application, one module a command."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Annotated

import typer
from typer.exceptions import TyperException

from retrieval.lesion import LesionSearchError
from service.interruption import interruptible
from service.logs import quiet_libraries

COMMANDS = {
    "check": "service.commands.archives.check",
    "phantom": "service.commands.archives.phantom",
    "import": "service.commands.archives.import_archive",
    "mine": "service.commands.archives.mine",
    "index": "service.commands.indexing.index",
    "query": "service.commands.query",
    "detect": "service.commands.detect",
    "locate": "service.commands.locate",
    "track": "service.commands.track",
    "follow": "service.commands.follow",
    "forecast": "service.commands.forecast",
    "tag": "service.commands.tag",
    "categorize": "service.commands.categorize",
    "measure": "service.commands.measure",
    "evaluate": "service.commands.evaluation.evaluate",
    "train": "service.commands.models.train",
    "fit-matcher": "service.commands.models.fit_matcher",
    "export-encoder": "service.commands.models.export_encoder",
    "serve": "service.commands.serve",
    "keys": "service.commands.keys",
    "pacs": "service.commands.pacs",
    "deidentify": "service.commands.archives.deidentify",
    "demo": "service.commands.demo",
}
"""The module of each command, in the order of the help; each has ``register(app)``."""

USER_MISTAKE = 2
INTERRUPTED = 130

_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def build_app(command: str | None = None) -> typer.Typer:
    """The application with one command, or with all of them.

    Loading every command's module takes longer than most commands need, so that ``main`` asks for
    the one that is run.
    """
    app = typer.Typer(
        name="lesion-search",
        help="Find similar lesions on CT, and the same lesion in a patient's other studies. "
        "Research software, not a medical device.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_common_options)
    modules = [COMMANDS[command]] if command is not None else COMMANDS.values()
    for module in modules:
        import_module(module).register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"lesion-search {metadata.version('lesion-search')}\n")
        raise typer.Exit()


def _common_options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options before any command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status.

    A user's mistake is one line on stderr and the status 2, without a traceback; any other
    exception is a defect and keeps its traceback.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    given = sys.argv[1:] if arguments is None else list(arguments)
    with quiet_libraries(), interruptible() as interruption:
        try:
            status = _run(given)
        except (KeyboardInterrupt, typer.Abort):
            return interruption.tell()
        # Typer makes an exit status of a KeyboardInterrupt, and says nothing.
        return interruption.tell() if status == INTERRUPTED else status


def _run(given: list[str]) -> int:
    try:
        outcome = build_app(given[0] if given and given[0] in COMMANDS else None)(
            args=given,
            prog_name="lesion-search",
            standalone_mode=False,
        )
    except LesionSearchError as mistake:
        return _refuse(str(mistake))
    except TyperException as mistake:
        return _refuse(f"{mistake.format_message()} `lesion-search --help` lists the commands")
    except OSError as problem:
        if problem.errno in _DISK_TROUBLE:
            return _refuse(
                f"no space left while writing {problem.filename or 'the result'}: free some space "
                "and run the same command again, it goes on where it was"
            )
        if problem.errno in _DENIED:
            return _refuse(f"{problem.filename}: {problem.strerror}: choose a folder you may use")
        raise
    return outcome if isinstance(outcome, int) else 0


def _refuse(message: str) -> int:
    sys.stderr.write("error: " + " ".join(message.split()) + "\n")
    return USER_MISTAKE


if __name__ == "__main__":
    sys.exit(main())
