"""Parser of JSON that PostgreSQL can store."""

from collections import Counter
from typing import Any

from django.utils.http import parse_header_parameters
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType, ValidationError
from rest_framework.parsers import JSONParser

from ledgerkit import json_reading
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.json_validation import LARGE, NOT_TEXT, has_more_elements, is_bounded, iter_errors
from ledgerkit.db.pool import release_connection
from ledgerkit.rest.charset import UTF8
from ledgerkit.rest.problems import Rule, register
from ledgerkit.rest.query_params import safe_name
from ledgerkit.types import StrOrPromise


class BadBody(ValidationError):
    """Error at one place in the body, named by its `pointer` (RFC 6901)."""

    def __init__(self, pointer: str, sentence: StrOrPromise) -> None:
        super().__init__([sentence])
        self.pointer = pointer


class TooManyElements(APIException):
    status_code = 413
    default_code = "too_many_elements"

    def __init__(self) -> None:
        most = ledgerkit_settings.MAX_BODY_ELEMENTS
        super().__init__(
            f"The body holds more than {most} values, objects and lists included (LEDGERKIT['MAX_BODY_ELEMENTS']): "
            "send it in several calls."
        )


class StorableJSONParser(JSONParser):
    """Parser of JSON in UTF-8 (RFC 8259), after an optional byte order mark. Raises NotJson for other bodies,
    BadBody with the place of a value that cannot be stored.

    A view may have `to_storable_body(body)`, called before that check of a body that may fail it, and
    `masked_body(body)`, called for a large body.
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        if media_type and "charset" in media_type.lower():
            _check_charset(media_type)
        body = stream.read()
        if is_large := len(body) > LARGE:
            release_connection()
        most = ledgerkit_settings.MAX_BODY_ELEMENTS
        # Counted before it is parsed: each costs a hundred bytes.
        if len(body) > most and has_more_elements(body, most):
            raise TooManyElements
        view = (parser_context or {}).get("view")
        data = json_reading.read(body, make_object=_object)
        if NOT_TEXT.search(body) or not is_bounded([data]):
            data = _check(data, view)
        mask = getattr(view, "masked_body", None)
        return mask(data) if is_large and mask else data


def _check(data: object, view: object) -> object:
    if prepare := getattr(view, "to_storable_body", None):
        data = prepare(data)
    for pointer, fault in iter_errors(data):
        raise BadBody(pointer, fault)
    return data


def _check_charset(media_type: str) -> None:
    charset = parse_header_parameters(media_type)[1].get("charset", "utf-8")
    if charset.lower() not in UTF8:
        raise UnsupportedMediaType(media_type, "JSON is read in UTF-8 here: leave the charset out.")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Reject duplicate keys; RFC 8259, section 4, leaves their meaning open."""
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _value in pairs).most_common(1)[0][0]
        raise ParseError(f"The name “{safe_name(twice)}” occurs twice in one object of the body.")
    return found


register(Rule(json_reading.NotJson, 400, "parse_error"))
