"""Form fields of the workflow form."""

import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.json_validation import MAX_DEPTH, MAX_DIGITS, TOO_DEEP, TOO_LONG, iter_errors

from .json_errors import refuse_syntax


class StorableJSONField(forms.JSONField):
    """JSON that PostgreSQL can store: no NUL, lone surrogate, NaN or unlimited nesting. An empty input becomes
    `empty()`."""

    default_error_messages = {"unstorable": _("This JSON cannot be stored: %(reason)s")}

    def __init__(self, *, empty: Callable[[], object] = lambda: None, **kwargs: Any) -> None:
        self.empty = empty
        super().__init__(**kwargs)

    def to_python(self, value: object) -> Any:
        if value in self.empty_values:
            return self.empty()
        try:
            found = super().to_python(value)
        except ValidationError as error:
            if isinstance(cause := error.__context__, json.JSONDecodeError):
                raise refuse_syntax(str(value), cause) from None
            raise
        except RecursionError:
            raise self._refusal(format_lazy(TOO_DEEP, most=MAX_DEPTH)) from None
        except ValueError:
            raise self._refusal(format_lazy(TOO_LONG, most=MAX_DIGITS)) from None
        for pointer, fault in iter_errors(found):
            raise self._refusal(f"{pointer}: {fault}" if pointer else fault)
        return found

    def prepare_value(self, value: object) -> str:
        return "" if value is None else super().prepare_value(value)

    def bound_data(self, data: object, initial: object) -> object:
        try:
            self.to_python(data)
        except ValidationError:
            return InvalidJSONInput(data)
        return super().bound_data(data, initial)

    def _refusal(self, reason: object) -> ValidationError:
        return ValidationError(self.error_messages["unstorable"], code="unstorable", params={"reason": reason})


class JSONMixin:
    """Use small, resizable text areas for JSON fields."""

    def formfield_for_dbfield(self, db_field: object, request: HttpRequest, **kwargs: object) -> Any:
        if isinstance(db_field, models.JSONField):
            widget = forms.Textarea(attrs={"rows": 2, "cols": 32, "spellcheck": "false"})
            kinds: dict[str, Any] = {
                "form_class": StorableJSONField,
                "empty": db_field.get_default,
                "show_hidden_initial": False,
            }
            return db_field.formfield(widget=widget, **kinds)
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]  # of ModelAdmin
