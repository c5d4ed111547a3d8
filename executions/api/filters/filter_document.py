"""The filters of the list of runs as a JSON object, which the body of a bulk action has."""

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from executions import limits
from executions.querysets import WorkflowExecutionQuerySet
from ledgerkit.rest.filters import SeveralValuesMixin
from ledgerkit.rest.query_params import safe_name

from .filtersets import WorkflowExecutionFilters, error_text

EMPTY = "Name one filter at least: an action on all runs of the ledger is not offered."
VALUE = "Expected a text, a number, true or false, or a list of these."
ONCE = "Expected one value."
TOO_MANY = "Expected at most {most} values; found {number}."


def filtered_by(
    document: Mapping[str, object], runs: WorkflowExecutionQuerySet, request: Request
) -> tuple[WorkflowExecutionQuerySet, dict[str, list[str]]]:
    """Return the runs that match the document, and its values as texts. Raises ValidationError at the names that are
    wrong."""
    values = _as_texts(document)
    query = QueryDict(mutable=True)
    for name, texts in values.items():
        query.setlist(name, list(texts))
    filters = WorkflowExecutionFilters(query, queryset=runs, request=request)
    if not filters.is_valid():
        faults = filters.errors.get_json_data().items()
        raise _fault({name: [each["message"] for each in found] for name, found in faults})
    # All of them are counted, so that the order of the list, which the filter alone follows, finds nothing sooner.
    narrowed = {"pk__in": error_text(request.user, query).ids} if "error" in values else {}
    return filters.qs.filter(**narrowed), values


def _as_texts(document: Mapping[str, object]) -> dict[str, list[str]]:
    if not document:
        raise ValidationError({"filter": [EMPTY]})
    known: Mapping[str, Any] = WorkflowExecutionFilters.base_filters
    values: dict[str, list[str]] = {}
    wrong: dict[str, list[str]] = {}
    for name, value in document.items():
        texts = [_text(each) for each in (value if isinstance(value, list) else [value])]
        if name not in known:
            wrong[safe_name(name)] = [f"This filter is not known. Known are: {', '.join(sorted(known))}."]
        elif not texts or not all(texts):
            wrong[name] = [VALUE]
        elif len(texts) > limits.FILTER_VALUES:
            wrong[name] = [TOO_MANY.format(most=limits.FILTER_VALUES, number=len(texts))]
        elif len(texts) > 1 and not isinstance(known[name], SeveralValuesMixin):
            wrong[name] = [ONCE]
        else:
            values[name] = [text for text in texts if text]
    if wrong:
        raise _fault(wrong)
    return values


def _text(value: object) -> str | None:
    """Return the value as it stands in an address; None for another kind."""
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case _:
            return None


def _fault(wrong: dict[str, list[str]]) -> ValidationError:
    return ValidationError({"filter": wrong})
