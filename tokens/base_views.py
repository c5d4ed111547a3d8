"""The base of the API's views. It sets everything that REST framework would take from the project's REST_FRAMEWORK, so
that a project keeps its own defaults and the API responds the same in each."""

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from drf_spectacular.openapi import AutoSchema
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import BasePagination
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import APISettings
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from ledgerkit.db.audit import Through, act_as
from ledgerkit.db.json_validation import LARGE
from ledgerkit.db.row_lookup import RowByKey
from ledgerkit.rest.pagination import KeysetPagination
from ledgerkit.rest.parsers import StorableJSONParser
from ledgerkit.rest.problems import UNKNOWN_ADDRESS
from ledgerkit.rest.renderers import CompactJSONRenderer
from ledgerkit.rest.request_body import WITH_BODY, accept_headers, read_body

from .authentication import BearerAuthentication, TokenAuthentication
from .permissions import ScopePermission
from .throttling import CallerThrottle

if TYPE_CHECKING:
    from .models import Token


JSON = "application/json"
BEGINS = {"HTTP_IDEMPOTENCY_KEY", "HTTP_IF_MATCH"}  # headers of requests that are one transaction
SETTINGS = APISettings({"EXCEPTION_HANDLER": "ledgerkit.rest.problems.exception_handler"})


class LedgerNegotiation(DefaultContentNegotiation):
    settings = SETTINGS  # type: ignore[assignment]  # the stubs know the names of the global object alone


class LedgerView(APIView):
    authentication_classes: Sequence[type[BaseAuthentication]] = [
        TokenAuthentication,
        BearerAuthentication,
        SessionAuthentication,
    ]
    permission_classes: Sequence[type[BasePermission]] = [ScopePermission]
    throttle_classes: Sequence[type[BaseThrottle]] = [CallerThrottle]
    renderer_classes = [CompactJSONRenderer]
    parser_classes = [StorableJSONParser]
    content_negotiation_class = LedgerNegotiation
    metadata_class = None
    versioning_class = None
    pagination_class: type[BasePagination] | None = KeysetPagination
    settings = SETTINGS
    schema: Any = AutoSchema()
    work: ExitStack  # ends with the request, inside of what dispatch() sets
    named_row: RowByKey[Any] | None = None  # which the address names, and which is read together with the token

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Respond in English and in UTC, to be stored nowhere. Programs read `code`, and a `detail` ends in their
        logs."""
        in_english = nullcontext() if translation.get_language() == "en" else translation.override("en")
        with in_english, timezone.override(UTC), ExitStack() as self.work:
            response = super().dispatch(request, *args, **kwargs)
        del self.response  # else its rows stay until Python searches for garbage (as in ledgerkit/rest/renderers.py)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Read the query or the body after authentication, so that anonymous clients cannot make the server
        decompress."""
        super().initial(request, *args, **kwargs)
        token = cast("Token | None", request.auth)
        self.work.enter_context(act_as(through=Through.API, user=request.user, token=token))
        has_action = getattr(self, "action", None) is not None  # else 405, or there is nothing at this address
        if has_action and request.method in SAFE_METHODS:
            self.read_query(request)
        elif has_action and request.method in WITH_BODY and request.stream is not None:
            is_plain = request.META.get("CONTENT_TYPE") == JSON and "HTTP_CONTENT_ENCODING" not in request.META
            if not is_plain or len(request.body) > LARGE:  # else REST framework reads it, when the view asks for it
                read_body(request)
        if not BEGINS.isdisjoint(request.META):
            self.begin_transaction(request)

    def begin_transaction(self, request: Request) -> None:
        """Begin the work of a request that names a key or a version, in views that take one."""

    def read_query(self, request: Request) -> None:
        """Check and keep the query parameters of a GET, in views that have some."""

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        for name, value in accept_headers(exc).items():
            response[name] = value
        return response


class UnknownAddressView(LedgerView):
    """Respond with 404 to every request that no other view serves."""

    schema = None

    def get(self, request: Request | HttpRequest, **kwargs: object) -> Response:
        raise NotFound(UNKNOWN_ADDRESS)

    head = post = put = patch = delete = get

    def options(self, request: HttpRequest, *args: object, **kwargs: object) -> Response:
        return self.get(request)
