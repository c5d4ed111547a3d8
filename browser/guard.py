"""Checks for every page that a test visits: nothing on the console, no breach of the CSP, no other host, no
failed request, and no more than 300 KB of our own assets."""

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Request,
    Response,
    StorageState,
    WebError,
)

MOST_BYTES = 300_000
OTHERS = "/static/drf_spectacular_sidecar/"  # Swagger UI

# Playwright runs it in the page past its CSP. Sizes are those of the packed bodies, out of the cache too.
WATCH = """
addEventListener("securitypolicyviolation", event =>
    console.error(`CSP: ${event.effectiveDirective} refuses ${event.blockedURI} ${event.sample}`));
addEventListener("load", () => setTimeout(() => {
    const assets = performance.getEntriesByType("resource")
        .filter(each => new URL(each.name).pathname.startsWith("/static/"))
        .map(each => ({name: each.name, size: each.encodedBodySize}));
    window.reportAssets?.(location.href, assets);
}));
"""


class Guard:
    """Watch one browser context. `expected` are the error statuses that the test causes, `expected_failures` the
    reasons of requests without a response."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context, self.host = context, urlsplit(address).netloc
        self._forget()
        context.expose_function("reportAssets", self._check_size)
        context.add_init_script(WATCH)
        context.on("console", self._on_console)
        context.on("weberror", self._on_script_error)
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        context.on("requestfailed", self._on_failed_request)

    def begin(self, session: StorageState | None) -> BrowserContext:
        """Return the context for another test, with the cookies of a session or none."""
        self._forget()
        self.context.clear_cookies()
        if session:
            self.context.add_cookies(session["cookies"])
        return self.context

    def _forget(self) -> None:
        self.faults, self.assets = list[str](), dict[str, int]()
        self.expected = set[int]()
        self.expected_failures = {"net::ERR_ABORTED"}

    def check(self) -> None:
        assert not self.faults, "\n".join(self.faults)

    def _on_console(self, message: ConsoleMessage) -> None:
        of_expected = any(f"status of {status} " in message.text for status in self.expected)
        of_expected |= any(failure in message.text for failure in self.expected_failures)
        if message.type in {"error", "warning", "assert"} and not of_expected:
            self.faults.append(f"{message.type} on the console: {message.text} ({message.location})")

    def _on_script_error(self, error: WebError) -> None:
        self.faults.append(f"error in a script: {getattr(error.error, 'stack', error.error)}")

    def _on_request(self, request: Request) -> None:
        if (parts := urlsplit(request.url)).scheme in {"http", "https", "ws", "wss"} and parts.netloc != self.host:
            self.faults.append(f"request to another host: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.faults.append(f"{response.status} for {response.url}")

    def _on_failed_request(self, request: Request) -> None:
        # A request that the page aborted itself, as when it was left, is no fault.
        if request.failure not in self.expected_failures:
            self.faults.append(f"{request.failure} for {request.url}")

    def _check_size(self, url: str, assets: list[dict[str, Any]]) -> None:
        ours = [each for each in assets if OTHERS not in each["name"]]
        self.assets[url] = sum(each["size"] for each in ours)
        if self.assets[url] > MOST_BYTES:
            self.faults.append(f"{self.assets[url]:,} bytes of our own assets on {url}: {ours}")
