"""Middleware of the project."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.core.exceptions import BadRequest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from psycopg_pool import PoolTimeout, TooManyRequests
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from ledgerkit import visible_text
from ledgerkit.rest.api_prefix import is_api
from ledgerkit.rest.problems import busy
from ledgerkit.time_zones import TimeZoneMiddleware
from pastetrader.health import ProbeMiddleware


class NoStoreMiddleware:
    """Forbid caches to store a page without a Cache-Control of its own, as the views of the API do for theirs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc] # WhiteNoise is untyped
    """Serve static files in one piece: WhiteNoise streams them, which warns under ASGI."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        response = HttpResponse(found.file.read() if found.file else b"", status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response


class HtmlGZipMiddleware(GZipMiddleware):
    """Compress HTML pages to about a tenth. Event streams are not buffered; JSON is left to a proxy.

    BREACH does not apply: Django adds random lengths, the CSRF token and the nonce change with each response, and
    requests from other sites carry no session cookie.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.streaming or not response.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


class VisibleTextMiddleware:
    """Make control and direction characters visible in every page, wherever they came from."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.streaming and response.get("Content-Type", "").startswith("text/html"):
            html = response.content.decode(response.charset)
            if visible_text.SIGN.search(html):
                response.content = visible_text.show_on_page(html).encode(response.charset)
                if "Content-Length" in response:
                    response["Content-Length"] = str(len(response.content))
        return response


class PageMiddleware:
    """Run the middleware of pages, in this order, for pages alone. The API is always in English: programs branch on
    `code`, a `detail` ends in their logs, and a stored response must suit every later request."""

    PAGE = (
        ProbeMiddleware,
        NoStoreMiddleware,
        HtmlGZipMiddleware,
        VisibleTextMiddleware,
        LocaleMiddleware,
        TimeZoneMiddleware,
    )

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = self.page = get_response
        for middleware in reversed(self.PAGE):
            self.page = middleware(self.page)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api(request.path_info):
            page: HttpResponse = self.page(request)
            return page
        with nullcontext() if translation.get_language() == "en" else translation.override("en"):
            request.LANGUAGE_CODE = "en"
            response: HttpResponse = self.get_response(request)
        response.headers.setdefault("Content-Language", "en")
        return response


class RefusalMiddleware:
    """Refuse what cannot be served: a NUL character in an address or a cookie with 400, as PostgreSQL stores no such
    text; a request that waited too long for a connection of the pool with 503 and Retry-After, and so one of the API
    whose connection broke after its view, as in the COMMIT."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        in_address = "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")
        if in_address or any("\x00" in value for value in request.COOKIES.values()):
            raise BadRequest("The address or a cookie contains the character NUL. Remove it.")
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        has_waited = isinstance(exception.__cause__, PoolTimeout | TooManyRequests)
        if isinstance(exception, OperationalError) and (has_waited or is_api(request.path_info)):
            return busy(request, exception)
        return None
