"""What a server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from panvec.server.batching import Lane

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
_SIZES = (1, 2, 4, 8, 16, 32)


class _Queues(Collector):
    """How much waits in each lane, read when asked for."""

    def __init__(self) -> None:
        self.lanes: list[Lane] = []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauge."""
        gauge = GaugeMetricFamily("panvec_queue_items", "Inputs that wait.", labels=["lane"])
        for lane in self.lanes:
            gauge.add_metric([lane.name], lane.waiting)
        yield gauge


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._queues = _Queues()
        self._registry.register(self._queues)
        at = ["route", "method", "status"]
        self._requests = Counter("panvec_requests", "Requests by route and status.", at, registry=self._registry)
        self._errors = Counter("panvec_errors", "Requests answered with 4xx or 5xx.", at, registry=self._registry)
        self._latency = Histogram(
            "panvec_request_seconds", "Seconds of a request.", ["route"], buckets=_SECONDS, registry=self._registry
        )
        self._sizes = Histogram("panvec_batch_items", "Inputs in a batch.", ["lane"], buckets=_SIZES, registry=self._registry)
        self._batch_latency = Histogram(
            "panvec_batch_seconds", "Seconds of a batch, by lane.", ["lane"], buckets=_SECONDS, registry=self._registry
        )
        self._inputs = Counter(
            "panvec_inputs", "Inputs that were embedded or refused by the model.", ["lane"], registry=self._registry
        )

    def watch(self, lanes: Iterable[Lane]) -> None:
        """Show the queues of these lanes."""
        self._queues.lanes = list(lanes)

    def batch(self, lane: str, size: int, seconds: float) -> None:
        """Count a batch."""
        self._inputs.labels(lane).inc(size)
        self._sizes.labels(lane).observe(size)
        self._batch_latency.labels(lane).observe(seconds)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        labels = (route, method if method in ("GET", "POST", "DELETE", "PUT") else "other", str(status))
        self._requests.labels(*labels).inc()
        self._latency.labels(route).observe(seconds)
        if status >= 400:
            self._errors.labels(*labels).inc()

    def text(self) -> bytes:
        """All of them as Prometheus reads them."""
        return generate_latest(self._registry)
