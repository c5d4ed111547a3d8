"""Widgets of the admin's forms."""

from collections.abc import Sequence

from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError


class Autocomplete(AutocompleteSelect):
    """An autocomplete widget that renders an invalid primary key; Django's raises an error when such a form is shown
    again."""

    def optgroups(
        self, name: str, value: Sequence[str], attrs: dict[str, object] | None = None
    ) -> list[tuple[str | None, list[dict[str, object]], int | None]]:
        try:
            return super().optgroups(name, value, attrs)
        except (ValueError, ValidationError):  # of an integer, of a UUID
            return super().optgroups(name, [], attrs)
