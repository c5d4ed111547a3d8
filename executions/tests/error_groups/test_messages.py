"""Messages that failures have in common."""

import pytest

from executions.error_groups.messages import normalize_message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: 'close_17'", "KeyError: 'open_99'"),
        ("[Errno 104] Connection reset while reading page 471", "[Errno 104] Connection reset while reading page 2"),
        (
            'Syntax error: Expected end of input but got identifier "bork" at [9:1]\n  compiled SQL at x.sql',
            'Syntax error: Expected end of input but got identifier "fork" at [120:33]',
        ),
        ("child 'steps-9fkqc-3224593506' failed", "child 'steps-9fvnv-17' failed"),
        ("run 0190f5e5-0000-7000-8000-abcdefabcdef is gone", "run 0190f5e5-ffff-7000-8000-000000000001 is gone"),
        ("object deadbeefcafe not found", "object 00c0ffee1234 not found"),
        ("at 2026-11-23T04:05:06+00:00: -5.25 of 1,000", "at 2025-01-01T00:00:00+09:00: 7 of 2"),
        ("cannot read /srv/a/x.csv: gone", "cannot read ../y.csv: gone"),
        ("GET https://a.test/v1?x=y refused", "GET http://b.test refused"),
        ("C:\\\\data\\\\x.csv is gone", "~/x.csv is gone"),
        ("\n\n  too late by 5ms  \nand more", "too late by 300ms"),
    ],
)  # fmt: skip
def test_messages_that_differ_by_numbers_ids_and_quotations_are_of_one_kind(one: str, other: str) -> None:
    assert normalize_message(one) == normalize_message(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: 'close'", "ValueError: 'close'"),
        ("it didn't answer, can't go on", "it didn't start, can't go on"),
        (
            "Database Error in model orders (models/orders.sql)\n  Syntax error",
            "Database Error in model customers (models/customers.sql)\n  Syntax error",
        ),
        ("failed", ""),
    ],
)
def test_messages_that_differ_by_words_are_not(one: str, other: str) -> None:
    assert normalize_message(one) != normalize_message(other)


def test_no_message_is_a_kind_too() -> None:
    assert normalize_message(None) == normalize_message("") == normalize_message(" \n ") == ""
