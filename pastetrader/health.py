"""Probes: `/healthz`, whether the process works, and `/readyz`, whether it can do its work, without a token; with one,
`/metrics`. By http or https, under any host name: an orchestrator asks by the address of a container."""

import json
from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from pastetrader.metrics import show_metrics
from pastetrader.path_prefix import Headers, Scope, path_info, with_prefix
from pastetrader.readiness import CHECKS, readiness

ALIVE = "/healthz"
READY = "/readyz"
METRICS = "/metrics"
METHODS = ("GET", "HEAD")


class ProbeMiddleware:
    """Answer probes before the middleware that checks the host of a request. The address is that below the prefix, with
    or without it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = VIEWS.get(request.path_info)
        if view is None:
            return self.get_response(request)
        return view(request) if request.method in METHODS else HttpResponseNotAllowed(METHODS)


def is_health_probe(scope: Scope, headers: Headers) -> bool:
    """Return whether it asks if the process works, whatever prefix its header names. Raises Refusal."""
    is_alive = scope["path"] == ALIVE or path_info(with_prefix(scope, headers)) == ALIVE
    return is_alive and scope["method"] in METHODS


def health_response(_request: HttpRequest | None = None) -> HttpResponse:
    return _answer(200, {"status": "ok"})


def show_readiness(request: HttpRequest) -> HttpResponse:
    """Answer 503 if a check fails that is not named by `exclude`."""
    excluded = request.GET.getlist("exclude")
    checks = [check for check in CHECKS if check.name not in excluded]
    failed = readiness.failed_checks()
    found = {check.name: {"ok": False, "do": check.do} if check.name in failed else {"ok": True} for check in checks}
    is_ready = all(each["ok"] for each in found.values())
    return _answer(200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", "checks": found})


def _answer(status: int, body: Mapping[str, object]) -> HttpResponse:
    content = json.dumps(body).encode() + b"\n"
    headers = {"Cache-Control": "no-store", "Content-Length": str(len(content))}
    return HttpResponse(content, status=status, content_type="application/json", headers=headers)


VIEWS: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    ALIVE: health_response,
    READY: show_readiness,
    METRICS: show_metrics,
}
