"""The quick check of a body passes nothing that has an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerkit.db.json_validation import MAX_DEPTH, NOT_TEXT, is_bounded, is_storable, iter_errors

TEXTS = st.text(st.sampled_from("ab\\u0d8é한\x00\ud83d\udc4d"), max_size=8)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([1e300, float("inf")]) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@given(value=VALUES)
def test_what_passes_has_no_error(value: object) -> None:
    body = json.dumps(value).encode()
    parsed = json.loads(body)
    passes = not NOT_TEXT.search(body) and is_bounded([parsed])
    assert not passes or not list(iter_errors(parsed))
    assert not is_storable(value) or not list(iter_errors(value))


@pytest.mark.parametrize(("levels", "passes"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_levels_are_counted_as_iter_errors_counts_them(levels: int, passes: bool) -> None:
    in_tuples: object = 1
    for _level in range(levels):
        in_tuples = (in_tuples,)
    bodies = ("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels)
    for value in (*map(json.loads, bodies), in_tuples):
        assert (is_bounded([value]), is_storable(value), not list(iter_errors(value))) == (passes, passes, passes)


def test_brackets_and_numbers_inside_texts_are_texts() -> None:
    value = [{"id": "01a2e999-1e999", "message": "[{NaN" * 50, "n": 1.5}] * 100
    assert is_bounded([value])
    assert is_storable(value)


def test_a_document_is_measured_in_bytes(settings: Any) -> None:
    settings.LEDGERKIT = {"MAX_DOCUMENT_BYTES": 1_024}
    assert is_storable({"a": "é" * 508})
    assert not is_storable({"a": "é" * 509})
