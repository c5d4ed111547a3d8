"""`/metrics` for Prometheus, of all processes of this server, and what the project counts itself."""

import json
import os
import time
from collections.abc import Callable
from http import HTTPStatus
from secrets import compare_digest

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import connection
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from executions.metrics import REFUSALS
from pastetrader.metrics_folder import VARIABLE
from pastetrader.queried_metrics import LedgerCollector

SAMPLE_EVERY = 5  # seconds
PROBLEM = "application/problem+json"
BEARER = "Bearer "

SECONDS = Histogram(
    "pastetrader_request_seconds", "Seconds to answer a request, without its way to the client.",
    ["view", "method", "status"], buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)  # fmt: skip
POOL = Gauge("pastetrader_pool_connections", "Connections to the database.", ["state"], multiprocess_mode="livesum")
WAITING = Gauge("pastetrader_pool_waiting", "Requests that wait for a connection.", multiprocess_mode="livesum")


class MetricsMiddleware:
    """Measure requests, and count refusals by the code of their problem. Unused without METRICS_TOKEN."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.METRICS_TOKEN:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        view = request.resolver_match.view_name if request.resolver_match else "none"
        SECONDS.labels(view, request.method, response.status_code).observe(time.perf_counter() - began)
        if response.status_code >= HTTPStatus.BAD_REQUEST and response.get("Content-Type") == PROBLEM:
            REFUSALS.labels(str(json.loads(response.content)["code"])).inc()
        return response


def show_metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics to who knows METRICS_TOKEN; without that setting there are none."""
    if not settings.METRICS_TOKEN:
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    given = request.headers.get("Authorization", "")
    if not compare_digest(given.encode(), f"{BEARER}{settings.METRICS_TOKEN}".encode()):
        return HttpResponse(status=HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    ours = CollectorRegistry()
    ours.register(LedgerCollector())
    content = generate_latest(_registry()) + generate_latest(ours)
    return HttpResponse(content, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def sample_pool() -> None:
    """Note the use of this process's pool."""
    stats = connection.pool.get_stats()  # type: ignore[attr-defined]  # of PostgreSQL's wrapper
    for state, number in (("open", stats.get("pool_size", 0)), ("idle", stats.get("pool_available", 0))):
        POOL.labels(state).set(number)
    WAITING.set(stats.get("requests_waiting", 0))


def forget_process(process: int | None) -> None:
    """Drop the gauges of a process that has ended. Its counters remain in the sums."""
    if VARIABLE in os.environ:
        mark_process_dead(process)  # type: ignore[no-untyped-call]  # the library's, unannotated


def _registry() -> CollectorRegistry:
    """Return what this process has counted, or all processes of `manage.py serve` together."""
    if VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # as above
    return registry
