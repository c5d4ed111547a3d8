"""Differences between two documents of any content, as a pure function."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from executions.admin.runs import json_diff
from executions.admin.runs.json_diff import Difference, differences, parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


class TestDifferences:
    @given(json_values)
    def test_a_document_does_not_differ_from_itself(self, value: Any) -> None:
        again = json.loads(json.dumps(value))
        assert differences(value, again) == ([], False)

    @given(json_values, json_values)
    def test_two_documents_differ_or_are_equal(self, before: Any, after: Any) -> None:
        found, _more = differences(before, after)
        assert bool(found) == (json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True))

    def test_places_are_named_as_one_writes_them(self) -> None:
        before = {"picks": [{"symbol": "GOOG", "w": 1}], "two words": 1, "gone": None}
        after = {"picks": [{"symbol": "MSFT", "w": 1}, 2], "two words": 2}
        assert differences(before, after)[0] == [
            Difference("picks[0].symbol", '"GOOG"', '"MSFT"'),
            Difference("picks[1]", None, "2"),
            Difference('["two words"]', "1", "2"),
            Difference("gone", "null", None),
        ]

    def test_true_is_not_1(self) -> None:
        assert len(differences({"a": True}, {"a": 1})[0]) == 1

    def test_the_first_50_are_told_and_that_there_are_more(self) -> None:
        found, more = differences(list(range(60)), [])
        assert (len(found), more) == (json_diff.MAX_DIFFERENCES, True)

    def test_a_long_value_is_cut(self) -> None:
        (only,) = differences("x" * 1_000, None)[0]
        assert only.before is not None
        assert len(only.before) == json_diff.CUT + 1

    def test_numbers_stay_as_they_are_written(self) -> None:
        long = "9" * 5_000
        found, _more = differences(parse(f'{{"a": 0.10, "b": [{long}]}}'), parse('{"a": 0.1, "b": [{"c": 1.50}]}'))
        assert [(each.path, each.after) for each in found] == [("a", "0.1"), ("b[0]", '{"c": 1.50}')]

    def test_long_values_are_shown_from_where_they_differ(self) -> None:
        (only,) = differences("x" * 1_000 + "this", "x" * 1_000 + "that")[0]
        assert only.before is not None
        assert only.before.endswith('this"')
        assert only.after is not None
        assert only.after.endswith('that"')
