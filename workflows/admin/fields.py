"""Form fields of a definition's page."""

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from workflows.models import Node
from workflows.storable import MAX_DEPTH, MAX_DIGITS, TOO_DEEP, TOO_LONG, faults


class StorableJSONField(forms.JSONField):
    """JSON that PostgreSQL takes: no NUL, no half of a character, no NaN, no endless nesting. Left empty, it becomes
    `empty()`."""

    default_error_messages = {"unstorable": _("This JSON cannot be stored: %(reason)s")}

    def __init__(self, *, empty: Callable[[], Any] = lambda: None, **kwargs: Any) -> None:
        self.empty = empty
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return self.empty()
        try:
            found = super().to_python(value)
        except RecursionError:
            raise self._refusal(format_lazy(TOO_DEEP, most=MAX_DEPTH)) from None
        except ValueError:
            raise self._refusal(format_lazy(TOO_LONG, most=MAX_DIGITS)) from None
        for pointer, fault in faults(found):
            raise self._refusal(f"{pointer}: {fault}" if pointer else fault)
        return found

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            self.to_python(data)
        except ValidationError:
            return InvalidJSONInput(data)
        return super().bound_data(data, initial)

    def _refusal(self, reason: Any) -> ValidationError:
        return ValidationError(self.error_messages["unstorable"], code="unstorable", params={"reason": reason})


class NodeField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """A node of the workflow on the page. `offer()` takes them once a page, so that no row of a formset asks again."""

    def __init__(self, **kwargs: Any) -> None:
        self._offered: dict[str, Node] = {}
        super().__init__(queryset=Node.objects.none(), **kwargs)

    def offer(self, nodes: Iterable[Node]) -> None:
        self._offered = {str(node.pk): node for node in nodes}
        self.choices = [("", "---------"), *((pk, node.name) for pk, node in self._offered.items())]

    def to_python(self, value: Any) -> Node | None:
        if value in self.empty_values:
            return None
        try:
            return self._offered[str(value)]
        except KeyError:
            raise ValidationError(
                _("This node is not of this workflow: choose one that is."), code="invalid_choice"
            ) from None
