from copy import deepcopy
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from alerts.models import AlertKind, Channel, Rule
from alerts.models.rule import check_channels
from ledgerkit.admin.lists import StrictAdmin

from .channel_admin import ActiveFilter

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Rule]
else:
    ModelForm = forms.ModelForm


class RuleForm(ModelForm):
    kinds = forms.MultipleChoiceField(label=_("Kinds"), choices=AlertKind.choices, widget=forms.CheckboxSelectMultiple)

    # Django's admin refuses a field whose table of pairs is a model of its own.
    sends_through = forms.ModelMultipleChoiceField(
        label=_("Channels"), queryset=Channel.objects.none(), widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding:
            self.initial["sends_through"] = self.instance.channels.all()

    def clean(self) -> dict[str, object]:
        found = super().clean() or {}
        owner = found.get("owner")
        try:
            check_channels(owner and owner.pk, found.get("sends_through") or [])
        except ValidationError as error:
            self.add_error("sends_through", error.message_dict["channels"])
        return found


@admin.register(Rule)
class RuleAdmin(StrictAdmin):
    form = RuleForm
    list_display = ("name", "shown_workflow", "shown_kinds", "is_active", "owner")
    list_filter = (ActiveFilter,)
    list_select_related = ("workflow", "owner")
    search_fields = ("name", "workflow__name")
    autocompletes = ("workflow", "owner")
    fields = ("name", "owner", "workflow", "kinds", "sends_through", "most", "within_seconds", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        rows: Any = super().get_queryset(request)
        seen: QuerySet[Model] = rows.visible_to(request.user)
        return seen

    def get_form(self, request: HttpRequest, obj: object = None, change: bool = False, **kwargs: object) -> Any:
        """Offer the channels that this user may see, in a copy of the field: the class attribute is shared by all
        requests."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        if "sends_through" in form.base_fields:
            field = form.base_fields["sends_through"] = deepcopy(form.base_fields["sends_through"])
            field.queryset = Channel.objects.visible_to(request.user)
        return form

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.instance.channels.set(form.cleaned_data["sends_through"])

    @admin.display(description=_("workflow"))
    def shown_workflow(self, row: Rule) -> str:
        return row.workflow.name if row.workflow else gettext("all workflows")

    @admin.display(description=_("kinds"))
    def shown_kinds(self, row: Rule) -> str:
        return ", ".join(str(AlertKind(kind).label) for kind in row.kinds)
