"""Pages of a workflow's admin: what they would send, and what they say."""

from typing import Any

from django.contrib.messages import get_messages
from django.test import Client

from workflows.models import Workflow

LIST = "/admin/workflows/workflow/"

type Data = dict[str, Any]


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def address(workflow: Workflow) -> str:
    return f"{LIST}{workflow.pk}/change/"


def as_sent(response: Any) -> Data:
    """What the page would send if nobody typed anything."""
    formsets = [inline.formset for inline in response.context["inline_admin_formsets"]]
    forms = [
        response.context["adminform"].form,
        *(form for formset in formsets for form in (formset.management_form, *formset)),
    ]
    fields = [field for form in forms for field in form]
    return {field.html_name: as_text(field.value()) for field in fields if field.value() is not False}


def as_text(value: Any) -> str:
    return "on" if value is True else "" if value is None else str(value)


def add(data: Data, prefix: str, **fields: Any) -> Data:
    """One more form of that formset."""
    index = int(data[f"{prefix}-TOTAL_FORMS"])
    new = {f"{prefix}-{index}-{name}": as_text(value) for name, value in fields.items()}
    return data | new | {f"{prefix}-TOTAL_FORMS": str(index + 1)}


def row(data: Data, prefix: str, pk: Any) -> str:
    """The beginning of the names of the form of that row."""
    return next(key.removesuffix("id") for key, value in data.items() if key.startswith(prefix) and value == str(pk))


def edges_of(workflow: Workflow) -> set[str]:
    return {str(edge) for edge in workflow.edges.select_related("source_node", "target_node")}


def sentences(response: Any) -> str:
    """All errors on the page."""
    assert response.status_code == 200, [str(message) for message in get_messages(response.wsgi_request)]
    formsets = [inline.formset for inline in response.context["inline_admin_formsets"]]
    errors = [response.context["adminform"].form.errors, *(formset.errors for formset in formsets)]
    return str(errors) + str([formset.non_form_errors() for formset in formsets])
