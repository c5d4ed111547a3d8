"""Masking of a large body while the request holds no database connection."""

from typing import Any

from django.db.models import Model

from workflows.fields import DefinitionField, MaskedDocument
from workflows.models import Edge, Node, Workflow


def mask_body(body: Any) -> Any:
    """Return the body of a workflow with the documents of the workflow, its nodes and its edges masked."""
    if not isinstance(body, dict):
        return body
    lists = {"nodes": Node, "edges": Edge}
    return {
        name: [_mask_row(lists[name], row) for row in value] if name in lists and isinstance(value, list) else value
        for name, value in _mask_row(Workflow, body).items()
    }


def _mask_row(model: type[Model], row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    fields = {field.name: field for field in model._meta.concrete_fields if isinstance(field, DefinitionField)}
    return {
        name: MaskedDocument(fields[name].as_stored(value)) if name in fields and isinstance(value, dict) else value
        for name, value in row.items()
    }
