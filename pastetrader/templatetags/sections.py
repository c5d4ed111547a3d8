"""`{% site_sections as sections %}`: the sections of the admin in the order in which people need them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from django import template
from django.template import Context

register = template.Library()

# The others are in a list of their own, those of the apps before users and groups.
FIRST = ("WorkflowExecution", "Workflow", "ErrorGroup", "NodeExecution")
LAST_APP = "auth"


class Model(TypedDict):
    object_name: str
    name: str
    admin_url: str | None


class App(TypedDict):
    app_label: str
    models: Sequence[Model]


@dataclass(frozen=True)
class Section:
    name: str
    address: str
    is_current: bool


@dataclass(frozen=True)
class Sections:
    first: Sequence[Section]
    others: Sequence[Section]

    @property
    def current_other(self) -> Section | None:
        return next((section for section in self.others if section.is_current), None)


@register.simple_tag(takes_context=True)
def site_sections(context: Context) -> Sections:
    """Return the lists of the admin that the user may open, of the apps that the context names."""
    path = context["request"].path
    found = {model["object_name"]: _section(model, path) for model in _models(context["available_apps"])}
    first = [found.pop(name) for name in FIRST if name in found]
    return Sections(first, list(found.values()))


def _models(apps: Sequence[App]) -> Iterator[Model]:
    for app in sorted(apps, key=lambda app: app["app_label"] == LAST_APP):
        yield from (model for model in app["models"] if model["admin_url"])


def _section(model: Model, path: str) -> Section:
    address = str(model["admin_url"])
    return Section(model["name"], address, path.startswith(address))
