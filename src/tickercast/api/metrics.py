"""The measures of the API for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of the measures."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


class Metrics:
    """Requests and their latency by route, the age of the newest file, and the champion's version."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._of: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "tickercast_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tickercast_request_seconds",
            "Time from the first byte to the last, in seconds.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._age = Gauge(
            "tickercast_newest_ingestion_age_seconds",
            "Seconds since the newest file arrived.",
            registry=self._registry,
        )
        self._champion = Gauge(
            "tickercast_champion_info", "The champion that is served.", ["name", "version"], registry=self._registry
        )

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = method, route, status
        if key not in self._of:
            self._of[key] = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
        requests, taken = self._of[key]
        requests.inc()
        taken.observe(seconds)

    def text(self, *, age_s: float | None, champion: tuple[str, str] | None) -> bytes:
        """All measures as Prometheus reads them.

        Args:
            age_s: seconds since the newest file arrived; None where there is none.
            champion: the name and version of the champion; None where there is none.
        """
        self._age.set(float("nan") if age_s is None else age_s)
        self._champion.clear()
        if champion:
            self._champion.labels(*champion).set(1)
        return generate_latest(self._registry)
