"""Keyset conditions, and keys as text."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import DurationField, F, Q

from ledgerkit.db import keyset

ORDER, KEY = ("a", "b"), (1, 2)


def test_after_a_key_the_first_column_is_bounded_and_the_second_breaks_ties() -> None:
    assert keyset.after(ORDER, KEY) == Q(a__gte=1) & (Q(a__gt=1) | Q(b__gt=2))
    assert keyset.after(("-a", "-b"), KEY) == Q(a__lte=1) & (Q(a__lt=1) | Q(b__lt=2))
    assert keyset.after(("b",), (2,)) == Q(b__gt=2)


def test_an_inclusive_condition_matches_the_row_of_the_key() -> None:
    assert keyset.after(ORDER, KEY, inclusive=True) == Q(a__gte=1) & (Q(a__gt=1) | Q(b__gte=2))


def test_before_a_key_is_after_it_in_the_reverse_order() -> None:
    assert keyset.before(ORDER, KEY) == keyset.after(keyset.reverse(ORDER), KEY)
    assert keyset.reverse(keyset.reverse(("-a", "b"))) == ["-a", "b"]


def test_a_key_survives_its_text() -> None:
    rows = User.objects.annotate(took=F("last_login") - F("date_joined"))
    order, key = (
        ("-date_joined", "took", "id"),
        [datetime(2026, 1, 2, 3, 4, 5, 6, UTC), timedelta(days=-1, seconds=2), 7],
    )
    assert keyset.decode(rows, order, keyset.encode(key), {"took": DurationField()}) == key


@pytest.mark.parametrize("text", ["", "x", "2026-01-02", "2026-01-02T03:04:05", "0001-01-01T00:00:00+14:00"])
def test_a_text_that_is_no_time_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of any kind
        keyset.decode(User.objects.all(), ("date_joined",), [text])


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        keyset.decode(User.objects.all(), ("id",), ["1", "2"])
