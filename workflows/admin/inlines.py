"""Nodes and edges on the page of their workflow. The rules of a DAG are held for all edges sent, as one graph."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from workflows import graph
from workflows.exceptions import CyclicGraph
from workflows.models import Edge, Node

from .fields import NodeField, StorableJSONField

if TYPE_CHECKING:
    FormSet = BaseInlineFormSet[Any, Any, Any]
    ModelForm = forms.ModelForm[Edge]
    NodeModelForm = forms.ModelForm[Node]
    StackedInline = admin.StackedInline[Any, Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    FormSet = BaseInlineFormSet
    ModelForm = NodeModelForm = forms.ModelForm
    StackedInline = admin.StackedInline
    TabularInline = admin.TabularInline

ENDS = ("source_node", "target_node")
EXECUTED = _("“%(node)s” has been executed and its history is kept: it cannot be deleted. Retire it instead.")
HANDLES = ("source_handle", "target_handle")


class JSONMixin:
    """Small fields for JSON, which can be pulled larger."""

    json_columns = 32

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, models.JSONField):
            widget = forms.Textarea(attrs={"rows": 2, "cols": self.json_columns, "spellcheck": "false"})
            return db_field.formfield(form_class=StorableJSONField, empty=db_field.get_default, widget=widget)
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]


class NodeForm(NodeModelForm):
    retire = forms.BooleanField(
        label=_("Retire"), required=False, help_text=_("Take it out of the graph; what it has run stays.")
    )

    @property
    def retires(self) -> bool:
        return bool(not self.instance._state.adding and self.cleaned_data.get("retire"))


class NodeFormSet(FormSet):
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if form.instance._state.adding:
            form.fields["retire"].widget = forms.HiddenInput()

    def clean(self) -> None:
        super().clean()
        executed = [form.instance for form in self.deleted_forms if form.instance.executions.exists()]
        if executed:  # of the formset: a form that is to be deleted is valid whatever its errors
            raise ValidationError([EXECUTED % {"node": node} for node in executed])
        self._check_names()

    def _check_names(self) -> None:
        """Django's check of the constraint stops at `retired_at`, which is not on the page."""
        seen: set[str] = set()
        leaving = [*self.deleted_forms, *self._retiring]
        for form in self.forms:
            name = "" if form in leaving else form.cleaned_data.get("name", "")
            if name in seen:
                form.add_error("name", _("Two nodes have the same name: choose a different one for each."))
            seen |= {name} - {""}

    @property
    def leaving(self) -> set[UUID]:
        """The ids of the nodes that this submission takes out of the graph."""
        forms = [*self.deleted_forms, *self._retiring] if self.is_bound else []
        return {form.instance.pk for form in forms}

    def save(self, commit: bool = True) -> Any:
        Node.objects.filter(pk__in=[form.instance.pk for form in self._retiring]).leave()  # first: its name gets free
        return super().save(commit)

    def save_existing(self, form: Any, obj: Any, commit: bool = True) -> Any:
        return obj if form.retires else super().save_existing(form, obj, commit)

    def delete_existing(self, obj: Any, commit: bool = True) -> None:
        if commit:
            Node.objects.filter(pk=obj.pk).leave()

    @property
    def _retiring(self) -> list[Any]:
        return [form for form in self.initial_forms if form.is_valid() and form.retires]


class NodeInline(JSONMixin, StackedInline):
    model = Node
    form = NodeForm
    formset = NodeFormSet
    extra = 0
    fieldsets = (
        (None, {"fields": (("name", "node_type", "timeout_seconds"), "retire")}),
        (
            _("Settings"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("config", "retry_config"),
                    ("input_schema", "output_schema"),
                    ("position_x", "position_y"),
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        nodes: Any = super().get_queryset(request)
        return nodes.current()


class EdgeForm(ModelForm):
    source_node = NodeField(label=_("Source node"))
    target_node = NodeField(label=_("Target node"))

    class Meta:
        model = Edge
        fields = ("source_node", "target_node", "source_handle", "target_handle", "priority", "label", "condition")

    def clean(self) -> None:
        """Not Django's: that would ask the database about each edge by itself, where edges can trade places."""
        ends = [self.cleaned_data.get(end) for end in ENDS]
        if ends[0] is not None and ends[0] == ends[1]:
            self.add_error("target_node", _("A node cannot lead to itself: choose another target."))

    def _post_clean(self) -> None:
        self.instance.clean = lambda: None  # type: ignore[method-assign]  # EdgeFormSet judges, for the same reason
        super()._post_clean()  # type: ignore[misc]

    @property
    def moved(self) -> bool:
        """Whether it is another edge than the row in the database."""
        return bool({*ENDS, *HANDLES} & set(self.changed_data))

    @property
    def ends(self) -> tuple[UUID, UUID]:
        return self.instance.source_node_id, self.instance.target_node_id


class EdgeFormSet(FormSet):
    nodes: NodeFormSet | None = None  # the other half of the submission

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offered = list(self.instance.nodes.current().order_by("name"))

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for end in ENDS:
            if end in form.fields:
                form.fields[end].offer(self._offered)
        for field in form.fields.values():  # the head of its column is no label of a field
            if field.label:  # what is hidden has none
                field.widget.attrs.setdefault("aria-label", field.label)

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        staying = list(self._staying())
        self._check_leaving_nodes(staying)
        self._check_doubles(staying)
        self._check_circle(staying)

    def save(self, commit: bool = True) -> Any:
        """The database judges after every statement. Edges that go or move are taken out first, so whatever is there
        meanwhile is a part of the graph that was found to be good."""
        moved = [form for form in self.initial_forms if form.moved and form not in self.deleted_forms]
        Edge.objects.filter(pk__in=[form.instance.pk for form in (*self.deleted_forms, *moved)]).delete()
        return super().save(commit)

    def save_existing(self, form: EdgeForm, obj: Edge, commit: bool = True) -> Edge:
        obj._state.adding = form.moved  # save() has taken it out
        edge: Edge = super().save_existing(form, obj, commit)
        return edge

    def _staying(self) -> Iterator[EdgeForm]:
        for form in self.forms:
            if form not in self.deleted_forms and form.instance.source_node_id and form.instance.target_node_id:
                yield form

    def _check_leaving_nodes(self, staying: list[EdgeForm]) -> None:
        leaving = self.nodes.leaving if self.nodes is not None else set()
        for form in staying:
            for end, node in zip(ENDS, form.ends, strict=True):
                if node in leaving:
                    form.add_error(end, _("This node leaves the graph: choose another one, or delete this edge too."))

    def _check_doubles(self, staying: list[EdgeForm]) -> None:
        seen: set[tuple[Any, ...]] = set()
        for form in staying:
            if form.instance.identity in seen:
                form.add_error(None, _("The same edge exists already: remove one of the two."))
            seen.add(form.instance.identity)

    def _check_circle(self, staying: list[EdgeForm]) -> None:
        names = {node.pk: node.name for node in self._offered}
        try:
            graph.check_acyclic(names, [form.ends for form in staying])
        except CyclicGraph as error:
            sentence = CyclicGraph([names[node] for node in error.cycle]).sentence
            steps = set(zip(error.cycle, error.cycle[1:], strict=False))
            culprits = [form for form in staying if form.ends in steps and form.has_changed()]
            if not culprits:
                raise ValidationError(sentence, code="cycle") from error
            for form in culprits:
                form.add_error(None, sentence)


class EdgeInline(JSONMixin, TabularInline):
    model = Edge
    form = EdgeForm
    formset = EdgeFormSet
    formfield_overrides: ClassVar = {models.CharField: {"widget": forms.TextInput(attrs={"size": 8})}}
    json_columns = 12
    extra = 0
    verbose_name_plural = _("edges (a new node can be chosen here once it is saved)")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related(*ENDS)
