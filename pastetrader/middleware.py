"""Middleware of the project."""

from collections.abc import Callable

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
from ledgerkit.rest.prefix import is_api
from ledgerkit.rest.problems import busy


class KeptByNobody:
    """No cache keeps an answer of the API, whatever it is, nor any other answer that does not say itself how long it
    may be kept. Whoever asks again by its ETag is answered 304 all the same."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if is_api(request.path_info) or "Cache-Control" not in response:
            response["Cache-Control"] = "private, no-store"
        return response


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc] # WhiteNoise is untyped
    """WhiteNoise streams its files, which under ASGI warns and hops threads once a chunk; ours are small: read."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        response = HttpResponse(found.file.read() if found.file else b"", status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response


class Packed(GZipMiddleware):
    """Pages, which are a tenth then. Streams are not held back for it, and what programs read is left to their proxy.

    Lengths give nothing away to guesses that are put into addresses (BREACH): Django makes them random, the CSRF token
    and the nonce are others in each answer, and what other sites embed comes without the session's cookie.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.streaming or not response.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


class VisibleSigns:
    """Pages show characters that are no text, wherever they came from."""

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


class Language(LocaleMiddleware):
    """Pages speak the language that was chosen on them, else the browser's. The API speaks English alone: programs
    branch on `code`, a `detail` ends in their logs, and an answer that is kept must suit whoever asks for it again."""

    def process_request(self, request: HttpRequest) -> None:
        if not is_api(request.path_info):
            return super().process_request(request)
        translation.activate("en")
        request.LANGUAGE_CODE = "en"
        return None

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not is_api(request.path_info):
            return super().process_response(request, response)
        response.headers.setdefault("Content-Language", "en")
        return response


class BusyDatabase:
    """More requests than the pool has connections wait their turn; one that waited too long is told to come back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, OperationalError) and isinstance(exception.__cause__, PoolTimeout | TooManyRequests):
            return busy(request)
        return None


class RefuseNul:
    """PostgreSQL keeps no NUL in a text: where an address or a cookie holds one, nothing can be found by it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", "") or self._in_cookies(request):
            raise BadRequest("The address or a cookie holds the character NUL, by which nothing can be found.")
        return self.get_response(request)

    @staticmethod
    def _in_cookies(request: HttpRequest) -> bool:
        return any("\x00" in value for value in request.COOKIES.values())
