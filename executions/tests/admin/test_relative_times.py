"""Relative times, past and future."""

from datetime import timedelta

import pytest
from django.utils import timezone

from executions.admin import duration_cells


@pytest.mark.parametrize(
    ("ahead", "shown"),
    [
        (timedelta(days=2, hours=1), "in 2\xa0days"),
        (timedelta(seconds=40.9), "in 40 s"),
        (timedelta(seconds=1), "0 s ago"),  # no more than one clock may be ahead of another
        (timedelta(seconds=-12.5), "12 s ago"),
        (timedelta(minutes=-3, seconds=-1), "3\xa0minutes ago"),
    ],
)
def test_a_moment_of_the_future_is_not_said_to_be_past(ahead: timedelta, shown: str) -> None:
    assert duration_cells.format_ago(timezone.now() + ahead) == shown
