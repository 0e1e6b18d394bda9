"""The command ``lesion-search``: one typer application, one module a command."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from retrieval.lesion import LesionSearchError
from service.commands import demo, detect, keys, pacs, query, serve, track
from service.commands.archives import check, deidentify, import_archive, phantom
from service.commands.evaluation import evaluate
from service.commands.indexing import index
from service.commands.models import fit_matcher, train

COMMANDS = (
    check,
    phantom,
    import_archive,
    index,
    query,
    detect,
    track,
    evaluate,
    train,
    fit_matcher,
    serve,
    keys,
    pacs,
    deidentify,
    demo,
)

USER_MISTAKE = 2
INTERRUPTED = 130

_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def build_app() -> typer.Typer:
    """The application with every command."""
    app = typer.Typer(
        name="lesion-search",
        help="Find similar lesions on CT, and the same lesion in a patient's other studies. "
        "Research software, not a medical device.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for command in COMMANDS:
        command.register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status.

    A user's mistake is one line on stderr and the status 2, without a traceback; any other
    exception is a defect and keeps its traceback.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    try:
        outcome = build_app()(
            args=None if arguments is None else list(arguments),
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
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return outcome if isinstance(outcome, int) else 0


def _refuse(message: str) -> int:
    sys.stderr.write("error: " + " ".join(message.split()) + "\n")
    return USER_MISTAKE


if __name__ == "__main__":
    sys.exit(main())
