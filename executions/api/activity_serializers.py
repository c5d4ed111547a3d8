"""Serializer of the activity."""

from datetime import UTC

from executions.models import Activity
from ledgerkit.db.plain_rows import Columns
from ledgerkit.rest.fields import StrictModelSerializer, UUIDField

type Row = dict[str, object]


def activity_row(row: Columns) -> Row:
    plain = ("subject_name", "from_status", "to_status", "through", "username")
    return {
        "id": row["id"],
        "happened_at": row["happened_at"].astimezone(UTC),
        "kind": row["kind"],
        "act": row["act"],
        "workflow_execution": row["run_id"],
        "node_execution": row["node_id"],
        "subject": row["subject_id"],
        **{name: row.get(name) for name in plain},
        "token": row["token_id"],
        **{name: row.get(name) for name in ("token_name", "reason", "request_id")},
    }


class ActivitySerializer(StrictModelSerializer[Activity]):
    """One entry of the activity. `subject` is a workflow, a token, a bulk action, a group of errors, or the workflow of
    a deleted run; of a run or a node it is null. `from_status` of a deletion is the last status of the run."""

    row = activity_row
    workflow_execution = UUIDField(source="run_id", allow_null=True)
    node_execution = UUIDField(source="node_id", allow_null=True)
    subject = UUIDField(source="subject_id", allow_null=True)
    token = UUIDField(source="token_id", allow_null=True)

    class Meta:
        model = Activity
        fields = [
            "id", "happened_at", "kind", "act", "workflow_execution", "node_execution", "subject", "subject_name",
            "from_status", "to_status", "through", "username", "token", "token_name", "reason", "request_id",
        ]  # fmt: skip
        read_only_fields = fields
