"""Ctrl-C and SIGTERM end a command the same way: what it began is tidied up, then one line."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

WORDS = "interrupted: what was finished stays; run the same command again to go on\n"


class Interruption:
    """Which signal asked the command to end, if one did."""

    def __init__(self) -> None:
        self.signal = signal.SIGINT

    @property
    def exit_status(self) -> int:
        """As a shell names a program's end by a signal: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """Ends what runs by KeyboardInterrupt; asked a second time, the process at once."""
        signal.signal(number, self._end_now)
        self.signal = signal.Signals(number)
        raise KeyboardInterrupt

    def _end_now(self, number: int, _frame: FrameType | None) -> None:
        os._exit(128 + number)

    def tell(self) -> int:
        """Writes the one line; returns the exit status."""
        sys.stderr.write(WORDS)
        return self.exit_status


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """While it is held, both signals raise KeyboardInterrupt in the main thread.

    Without this a SIGTERM would end Python where it stands: folders and processes stay behind.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    heard = (signal.SIGINT, signal.SIGTERM)
    # An ignored Ctrl-C (a job in the background of a script) stays ignored.
    wanted = [number for number in heard if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interruption.hear) for number in wanted}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
