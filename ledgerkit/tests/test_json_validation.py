"""The quick check of a body passes nothing that has an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerkit.db.json_validation import MAX_DEPTH, iter_errors, may_have_errors

TEXTS = st.text(st.sampled_from("ab\\u0d8é한\x00\ud83d\udc4d"), max_size=8)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([1e300, float("inf")]) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@given(value=VALUES)
def test_what_passes_has_no_error(value: object) -> None:
    body = json.dumps(value).encode()
    parsed = json.loads(body)
    assert may_have_errors(body, parsed) or not list(iter_errors(parsed))


@pytest.mark.parametrize(("levels", "may"), [(MAX_DEPTH, False), (MAX_DEPTH + 1, True)])
def test_levels_are_counted_as_iter_errors_counts_them(levels: int, may: bool) -> None:
    for body in ("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels):
        value = json.loads(body)
        assert (may_have_errors(body.encode(), value), bool(list(iter_errors(value)))) == (may, may)


def test_brackets_and_numbers_inside_texts_are_texts() -> None:
    body = json.dumps([{"id": "01a2e999-1e999", "message": "[{NaN" * 50, "n": 1.5}] * 100)
    assert not may_have_errors(body.encode(), json.loads(body))
