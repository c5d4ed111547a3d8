"""The workflow form: its own fields, and the graph as one text, so that the number of inputs does not depend on the
graph."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from ledgerkit.types import StrOrPromise
from workflows.api.serializers import WorkflowSerializer
from workflows.models import Graph, NodeType, Workflow
from workflows.submitted_graph import SubmittedGraph

from . import graph_text

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Workflow]
else:
    ModelForm = forms.ModelForm

CHANGED_SINCE = _(
    "This workflow changed since you opened it, so nothing was saved. Open it in another tab and repeat your "
    "changes there."
)
HELP = _(
    "JSON as the API has it, such as {example}. Edges name their nodes by name or by id. A field that is left out has "
    "its default; a node keeps its id when it is renamed; a node that is left out leaves the graph, and what it has "
    "run stays. Types: {types}."
)
EXAMPLE = (
    '{"nodes": [{"name": "load", "node_type": "tool"}, {"name": "rank", "node_type": "aggregator"}], '
    '"edges": [{"source_node": "load", "target_node": "rank"}]}'
)
type Path = tuple[object, ...]  # keys and indices that lead to an error

MAX_FAULTS = 20  # listed errors of one text
# Error texts of the API, which are English there. They are listed for makemessages.
OF_THE_API = (
    gettext_noop("Expected a string."),
    gettext_noop("Expected a whole number."),
    gettext_noop("Expected a number."),
    gettext_noop("Expected a UUID."),
    gettext_noop("Expected an object."),
    gettext_noop("Expected a UUID version 7, whose first 48 bits are the time."),
)
MORE = _("And %(count)d more.")
HALF_AN_EDGE = _("A new edge needs both ends: choose the other node too, or leave both empty.")


class MultilineField(forms.CharField):
    """A text field that keeps the stored line endings: browsers submit CR LF."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"strip": False, "required": False} | kwargs)

    def to_python(self, value: object) -> str:
        return normalize_line_ends(super().to_python(value) or "")

    def has_changed(self, initial: str | None, data: object) -> bool:
        return normalize_line_ends(initial or "") != self.to_python(data)


def normalize_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


class WorkflowForm(ModelForm):
    """`definition` is the submitted graph after validation; None if it is unchanged."""

    read_version = forms.IntegerField(label=_("version"), widget=forms.HiddenInput, required=False)
    description = MultilineField(label=_("description"), widget=forms.Textarea(attrs={"rows": 3, "cols": 80}))
    graph = MultilineField(
        label=_("graph"), widget=forms.Textarea(attrs={"rows": 18, "cols": 120, "spellcheck": "false"})
    )

    is_preview = False  # shows the graph without saving
    refusal: StrOrPromise = ""  # the error of the previous attempt to save this form
    definition: SubmittedGraph | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "read_version" in self.fields:
            self.fields["read_version"].initial = self.instance.version
        for name in {"description", "graph"} & self.fields.keys():
            self.fields[name].label = capfirst(self.fields[name].label)
        if "graph" in self.fields:
            code = {"example": EXAMPLE, "types": ", ".join(NodeType.values)}
            marked = {name: format_html("<code>{}</code>", text) for name, text in code.items()}
            self.fields["graph"].help_text = format_html(str(HELP), **marked)
            self.initial.setdefault("graph", graph_text.write_graph(self._stored_workflow))

    def is_valid(self) -> bool:
        return super().is_valid() and not self.is_preview

    def clean_description(self) -> str:
        """Return the stored text, with its line endings, if it was not edited."""
        is_changed = "description" in self.changed_data
        return str(self.cleaned_data["description"] if is_changed else self.instance.description)

    def clean(self) -> dict[str, object]:
        found = super().clean() or {}
        if self.refusal:
            raise ValidationError(self.refusal, code="stale")
        if self._stored_workflow and found.get("read_version") != self.instance.version:
            raise ValidationError(CHANGED_SINCE, code="stale")
        if bool(self.data.get("add_source", "").strip()) != bool(self.data.get("add_target", "").strip()):
            raise ValidationError(HALF_AN_EDGE, code="half")
        return found

    def clean_graph(self) -> str:
        """Validate the text like the body of an API request."""
        text = str(self.cleaned_data["graph"])
        if "graph" not in self.changed_data and self._stored_workflow:
            return text
        graph = graph_text.parse_graph(text)
        serializer = WorkflowSerializer(self._stored_workflow, data=graph_text.whole(graph), partial=True)
        if not serializer.is_valid():
            raise ValidationError(list(_sentences(serializer.errors, graph)))
        self.definition = serializer.validated_data["definition"]
        return text

    @property
    def changes(self) -> bool:
        """Return whether there is anything to save."""
        typed = bool(set(self.changed_data) - {"read_version", "graph"})
        return typed or (self.definition is not None and self.definition.is_new)

    def graph_to_draw(self) -> Graph | None:
        """Return the graph as it would be saved; None if the text has errors."""
        if self.is_bound and self.definition is not None:
            return self.definition.as_graph()
        if self.is_bound and "graph" in self.errors:
            return None
        return self.instance.graph_now() if self._stored_workflow else Graph()

    @property
    def _stored_workflow(self) -> Workflow | None:
        return None if self.instance._state.adding else self.instance


def _sentences(errors: object, graph: graph_text.GraphLists) -> Iterator[str]:
    """Yield the errors that the API would return, each with its place and the value there."""
    found = list(_places(errors))
    for path, sentence in found[:MAX_FAULTS]:
        yield f"{_place(path, graph)}: {gettext(sentence)}" if path else gettext(sentence)
    if more := found[MAX_FAULTS:]:
        yield str(MORE % {"count": len(more)})


def _places(errors: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(errors, dict):
        for name, inner in errors.items():
            yield from _places(inner, path if name == "non_field_errors" else (*path, name))
    elif isinstance(errors, list):
        for index, inner in enumerate(errors):
            yield from _places(inner, path if isinstance(inner, str) else (*path, index))
    else:
        yield path, str(errors)


def _place(path: Path, graph: graph_text.GraphLists) -> str:
    kind, *rest = map(str, path)
    pointer = "/" + "/".join(map(str, path))
    if rest and rest[0].isdigit() and (called := graph_text.title(kind, graph[kind][int(rest[0])])):
        return f"{pointer} ({called})"
    return pointer
