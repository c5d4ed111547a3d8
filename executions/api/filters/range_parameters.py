"""Pairs of parameters that bound one value: the lower bound, and the upper one, which is not below it."""

from collections.abc import Collection
from datetime import datetime

from django.forms import Form

PAIRS = (
    ("created_after", "created_before"),
    ("started_after", "started_before"),
    ("ended_after", "ended_before"),
    ("after", "before"),
    ("duration_min", "duration_max"),
)


class OrderedPairsForm(Form):
    """Form that refuses the second parameter of a pair if it is below the first: no row would be found."""

    def clean(self) -> dict[str, object]:
        for lower, upper in PAIRS:
            least, most = self.cleaned_data.get(lower), self.cleaned_data.get(upper)
            if least is not None and most is not None and most < least:
                words = "before" if isinstance(most, datetime) else "less than"
                self.add_error(upper, f"It is {words} `{lower}`, so nothing would be found: exchange the two.")
        return self.cleaned_data


def form_of(names: Collection[str]) -> type[Form]:
    """Return the base of a form with these fields."""
    return OrderedPairsForm if any({*pair} <= {*names} for pair in PAIRS) else Form
