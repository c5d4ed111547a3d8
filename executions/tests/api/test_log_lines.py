"""Lines that are validated together are what the serializer makes of each of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from executions import partitions
from executions.api.log_line_serializers import good_lines
from executions.api.serializers import ExecutionLogSerializer
from executions.models import ExecutionLog
from executions.secrets.scrubber import MASK
from executions.tests.factories import WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7

NODES = (uuid7(), uuid7())
DAYS_AGO = st.sampled_from([-3, -1, 0, 1, 80, 95]).map(
    lambda days: str(partitions.bound(datetime.now(UTC) - timedelta(days=days)))
)
IDS = st.sampled_from([str(uuid7()), str(uuid7()).upper(), uuid7().hex, "x", "", str(NODES[0])])
NODE_IDS = st.sampled_from([str(NODES[0]), str(NODES[1]).upper(), NODES[1].hex, str(uuid7()), ""])
TIMES = st.sampled_from(
    [
        "2026-11-28T09:00:00Z", "2026-11-28T09:00:00.123456789+09:00", "2026-11-28 09:00", "2026-11-28", "20261128T09",
        "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00", "2026-02-30T00:00:00Z", "x", "",
    ]
)  # fmt: skip
ODD: Any = st.sampled_from([None, True, 5, 1.5, "", "x", [], {}, [1], {"a": [1.5, None]}])
LINES: Any = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(["debug", "info", "warning", "error"]) | ODD,
        "message": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | ODD,
        "id": IDS | DAYS_AGO | ODD,
        "node_execution": NODE_IDS | ODD,
        "data": ODD | st.just("x" * 1_100_000),
        "timestamp": TIMES | ODD,
        "source": st.sampled_from(["worker-3", "x" * 201, "a\tb", " ", "e\u0301", "\u200b"]) | ODD,
        "seq": st.sampled_from([1, 2**63 - 1, 2**63, 0, -1, 2.0, "1"]) | ODD,
        "attempt": st.sampled_from([1, 2**31 - 1, 2**31, 0, 1.0]) | ODD,
        "is_cut": ODD,
        "other": ODD,
    },
)


def validate(line: object) -> Any:
    serializer = ExecutionLogSerializer(data=line, context={"node_executions": NODES})
    return serializer.validated_data if serializer.is_valid() else None


@given(line=LINES | ODD)
def test_what_passes_is_what_the_serializer_returns(line: object) -> None:
    good = good_lines([line], NODES)
    assert good is None or (good, {type(value) for value in good[0].values()}) == (
        [validate(line)],
        {type(value) for value in validate(line).values()},
    )


@pytest.mark.parametrize("more", [{}, {"data": None}, {"data": {"rows": 5}}, {"node_execution": None}])
def test_what_clients_send_passes(more: dict[str, Any]) -> None:
    line = {"level": "info", "message": "loaded", "id": str(uuid7()), "timestamp": "2026-11-28T09:00:00.5Z", **more}
    assert good_lines([line, {**line, "node_execution": str(NODES[0])}], NODES) is not None


def test_one_bad_line_has_the_serializer_look_at_all_and_name_the_bad_one() -> None:
    lines: Any = ExecutionLogSerializer(
        data=[{"level": "info", "message": "a"}, {"level": "info"}], many=True, context={"node_executions": NODES}
    )
    with pytest.raises(ValidationError) as refused:
        lines.is_valid(raise_exception=True)
    detail: Any = refused.value.detail
    assert detail == {1: {"message": ["This field is required."]}}


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["login of swordfish-99", "login of sword\\x66ish-99", "token: ab12cd34"])
def test_a_secret_in_one_of_many_lines_is_masked(api: Any, owner: Any, workflow: Any, text: str) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"a": "swordfish-99"}}), "running")
    lines = [{"level": "info", "message": "loaded".ljust(120, "x")} for _ in range(600)]
    lines[300]["message"] = text
    answer = api(owner).post(f"/api/v1/executions/{run.pk}/logs/", lines, format="json")
    messages = [line["message"] for line in answer.json()]
    assert (answer.status_code, messages[299]) == (201, lines[299]["message"])
    assert MASK in messages[300]
    assert list(ExecutionLog.objects.order_by("id").values_list("message", flat=True)) == messages
