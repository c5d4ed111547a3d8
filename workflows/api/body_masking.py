"""Masking of a large body while the request holds no database connection."""

from django.db.models import Model

from workflows.fields import DefinitionField
from workflows.models import Edge, Node, Workflow


def mask_body(body: object) -> object:
    """Return the body of a workflow with the documents of the workflow, its nodes and its edges masked."""
    if not isinstance(body, dict):
        return body
    lists = {"nodes": Node, "edges": Edge}
    return {
        name: _mask_rows(lists[name], value) if name in lists and isinstance(value, list) else value
        for name, value in _mask_row(Workflow, body).items()
    }


def _mask_rows(model: type[Model], rows: list[object]) -> list[object]:
    return [_mask_row(model, row) if isinstance(row, dict) else row for row in rows]


def _mask_row(model: type[Model], row: dict[str, object]) -> dict[str, object]:
    fields = {field.name: field for field in model._meta.concrete_fields if isinstance(field, DefinitionField)}
    return {
        name: fields[name].as_masked(value) if name in fields and isinstance(value, dict) else value
        for name, value in row.items()
    }
