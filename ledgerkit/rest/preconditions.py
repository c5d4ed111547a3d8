"""Conditional requests (RFC 9110): `ETag`, `If-None-Match` and `If-Match` from the version of a row."""

from hashlib import sha256
from typing import Any

from django.utils.http import parse_etags, quote_etag
from rest_framework import exceptions, status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from .renderers import CompactJSONRenderer


class PreconditionFailed(exceptions.APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The row has changed since the version named by If-Match: read it again and repeat the change."
    default_code = "precondition_failed"


class PreconditionsMixin:
    """View mixin for single rows with a `version`."""

    # False if the response includes other rows: their changes do not change the version, so the body is always sent.
    shows_the_row_alone = True

    request: Any  # of the view that this is mixed into

    def get_object(self) -> Any:
        row = super().get_object()  # type: ignore[misc]  # of the view that this is mixed into
        if "If-Match" in self.request.headers:
            self.check_version(row)
        return row

    def lock_before(self, row: Any) -> None:
        """Lock what writers of the row lock before it. Another order would deadlock with them."""

    def check_version(self, row: Any) -> None:
        """Lock the row of a write until the transaction ends, so that no other writer changes it meanwhile. Raises
        PreconditionFailed if If-Match names another version."""
        if self.request.method in SAFE_METHODS:
            return
        self.lock_before(row)
        now = type(row)._default_manager.select_for_update(no_key=True).filter(pk=row.pk).values("version").first()
        expected = self.request.headers["If-Match"]
        if now is None or (expected.strip() != "*" and quote_etag(str(now["version"])) not in parse_etags(expected)):
            raise PreconditionFailed
        if row.version != now["version"]:  # a writer may have changed it between the first read and the lock
            row.refresh_from_db()

    def finalize_response(self, request: Request, response: Response, *args: object, **kwargs: object) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]  # of the view that this is mixed into
        body = getattr(response, "data", None)  # a replayed response has none
        if request.query_params:  # with ?fields= or ?expand= the response is not the row alone
            return response
        if response.status_code < status.HTTP_300_MULTIPLE_CHOICES and isinstance(body, dict) and "version" in body:
            response["ETag"] = quote_etag(str(body["version"]))
            if request.method in SAFE_METHODS and self.shows_the_row_alone and _client_has(request, response["ETag"]):
                return _not_modified(response)
        return response


def _client_has(request: Request, current: str) -> bool:
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return known == ["*"] or current in known or f"W/{current}" in known


def _not_modified(response: Response) -> Response:
    response.status_code = status.HTTP_304_NOT_MODIFIED
    response.data = None
    return response


class RejectIfMatchOnCreateMixin:
    """View mixin that rejects If-Match, `*` included, on creation: a new row has no version (RFC 9110, 13.1.1)."""

    def create(self, request: Request, *args: object, **kwargs: object) -> Any:
        if "HTTP_IF_MATCH" in request.META:
            raise PreconditionFailed("Nothing is there yet that If-Match could name: leave it out to make a new row.")
        return super().create(request, *args, **kwargs)  # type: ignore[misc]  # of the view that this is mixed into


class ContentETagMixin:
    """View mixin for immutable rows without a version: the ETag is a hash of the response."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]  # of the view that this is mixed into
        made_or_read = self.action in {"create", "retrieve"}  # type: ignore[attr-defined]  # of the view that this is mixed into
        is_one = made_or_read and isinstance(getattr(response, "data", None), dict)  # a replayed response has none
        if is_one and response.status_code < status.HTTP_300_MULTIPLE_CHOICES:
            response["ETag"] = quote_etag(sha256(CompactJSONRenderer().render(response.data)).hexdigest()[:32])
            if request.method in SAFE_METHODS and _client_has(request, response["ETag"]):
                return _not_modified(response)
        return response
