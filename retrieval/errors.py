"""The errors of a user's mistake; every boundary has a small subclass of its own."""

from __future__ import annotations


class LesionSearchError(ValueError):
    """A user's mistake, in one line: what was wrong, the value, what is accepted, what to do.

    Each boundary has a small subclass of its own. Command line and HTTP show the message and
    nothing else; any other exception is a defect of the program.
    """


class LesionError(LesionSearchError):
    """A box, RECIST mark or lesion field that cannot be what it claims to be."""
