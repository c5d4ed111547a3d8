"""Rows of lists as JSON objects."""

from datetime import UTC

from ledgerkit.db.plain_rows import Columns

AS_THEY_ARE = ("id", "name", "description", "config", "variables", "is_active", "version")


def workflow_row(workflow: Columns) -> dict[str, object]:
    return {name: workflow[name] for name in AS_THEY_ARE} | {
        "created_at": workflow["created_at"].astimezone(UTC),
        "updated_at": workflow["updated_at"].astimezone(UTC),
        "owner": workflow["owner_id"],
    }
