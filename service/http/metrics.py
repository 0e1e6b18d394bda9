"""What the service measures of itself, for Prometheus; each application has a registry of its own.

Labels are route templates, methods and statuses: never an id, and never a path a client wrote.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PATCHES = (1, 2, 4, 8, 16, 32)


class ServiceMetrics:
    """Counters and histograms of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lesion_search_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "lesion_search_request_seconds",
            "Time to the end of the answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.embed_batch = Histogram(
            "lesion_search_embed_batch_patches",
            "Patches embedded together",
            buckets=PATCHES,
            registry=self.registry,
        )
        self.in_flight = self._gauge("requests_in_flight", "Requests being answered")
        self._ready = self._gauge("ready", "1 when encoder and index are loaded")
        self._gate_waiting = self._gauge("gate_waiting", "Requests that wait to compute")
        self._gate_computing = self._gauge("gate_computing", "Requests that compute")
        self._lesions = self._gauge("index_lesions", "Lesions that can be found")
        self._held = self._gauge("held_uploads", "Uploads held in memory")
        self._held_bytes = self._gauge("held_upload_bytes", "Pixels held in memory")
        ProcessCollector(namespace="lesion_search", registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"lesion_search_{name}", meaning, registry=self.registry)

    def watch(
        self,
        *,
        gate: tuple[Callable[[], int], Callable[[], int]],
        held: tuple[Callable[[], int], Callable[[], int]],
        lesions: Callable[[], int],
    ) -> None:
        """Reads these whenever the metrics are asked for: the service is ready.

        Args:
            gate: how many requests wait, and how many compute.
            held: how many uploads are held, and their bytes.
            lesions: how many lesions can be found.
        """
        self._ready.set(1)
        self._gate_waiting.set_function(gate[0])
        self._gate_computing.set_function(gate[1])
        self._held.set_function(held[0])
        self._held_bytes.set_function(held[1])
        self._lesions.set_function(lesions)

    def text(self) -> bytes:
        """Every metric in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)
