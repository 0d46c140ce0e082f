"""What the server counts, in Prometheus' words."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters of one server.

    Args:
        accepted: tells how many requests for weights are accepted and not yet answered.
        workers: tells how many workers are up.
    """

    def __init__(self, accepted: Callable[[], float], workers: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        route = ["route", "status"]
        self.requests = Counter("modelgpt_requests", "Requests answered, by route and status.", route, registry=registry)
        self.seconds = Histogram(
            "modelgpt_request_seconds",
            "Time from a request's head to its answer's end.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.models = Counter("modelgpt_models", "Models emitted.", registry=registry)
        self.batch = Histogram("modelgpt_batch_size", "Models of a launch.", buckets=SIZES, registry=registry)
        self.replaced = Counter("modelgpt_workers_replaced", "Workers that died or were ended.", registry=registry)
        self.received = Counter("modelgpt_received_bytes", "Bytes of bodies.", registry=registry)
        Gauge("modelgpt_accepted", "Requests for weights under way.", registry=registry).set_function(accepted)
        Gauge("modelgpt_workers", "Workers that are up.", registry=registry).set_function(workers)

    def text(self) -> bytes:
        """All counters as text."""
        return generate_latest(self._registry)
