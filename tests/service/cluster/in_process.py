"""A cluster whose workers run in this very process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.jobs.ray_cluster import WorkerLostError


@dataclass(eq=False)
class Call:
    actor: int
    method: str
    arguments: tuple[Any, ...]


class Calls:
    """A cluster whose workers run here; ``fate`` says before each call whether its worker dies."""

    def __init__(self, fate: Callable[[int, str, tuple[Any, ...]], bool], room: int = 2) -> None:
        self.fate, self._room = fate, room
        self.workers: list[Any] = []
        self.stopped: set[int] = set()
        self.embedded: list[str] = []
        self.shared: list[Any] = []
        self.turn = 0

    def room(self, *, gpus_per_worker: float) -> int:
        return self._room

    def share(self, content):
        self.shared.append(content)
        return content

    def start(self, worker, *arguments, gpus=0.0):
        self.workers.append(worker(*arguments))
        return len(self.workers) - 1

    def call(self, actor, method, *arguments):
        return Call(actor, method, arguments)

    def first_done(self, asked, *, timeout_s):
        assert len(asked) == len({call.actor for call in asked})
        self.turn += 1
        return asked[self.turn % len(asked)] if asked else None

    def result(self, asked):
        actor, method, arguments = asked.actor, asked.method, asked.arguments
        assert actor not in self.stopped
        if self.fate(actor, method, arguments):
            raise WorkerLostError(f"actor {actor} was killed")
        answer = getattr(self.workers[actor], method)(*arguments)
        if method == "embed":
            self.embedded += arguments[0]
        return answer

    def stop(self, actor) -> None:
        self.stopped.add(actor)


def never(actor, method, arguments) -> bool:
    return False
