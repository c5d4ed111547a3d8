"""Forms on the page of a group."""

from typing import Self

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from executions.error_groups import group_changes
from executions.models import ErrorGroup, ErrorState
from ledgerkit.admin.confirmation import MAX_REASON
from ledgerkit.db.exceptions import StaleObject

MOST_USERS = 500  # offered as assignees
MORE_USERS = _("The first {number} staff users by name; the API takes all of them.")


class ErrorGroupForm(forms.Form):
    """State, assignee and reason. `version` is that which was read, so that a change of somebody else is not lost."""

    state = forms.ChoiceField(label=_("State"), choices=ErrorState.choices)
    muted_until = forms.DateTimeField(
        label=_("Muted until"), required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )  # fmt: skip
    reason = forms.CharField(label=_("Reason"), required=False, max_length=MAX_REASON)
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, group: ErrorGroup, data: object = None) -> None:
        values = {
            "state": group.state, "muted_until": group.muted_until, "assignee": group.assignee_id,
            "version": group.version,
        }  # fmt: skip
        super().__init__(data, initial=values)  # type: ignore[arg-type]  # a QueryDict, or None
        self.fields["assignee"] = _assignee_field(group)

    def change(self, group: ErrorGroup) -> bool:
        """Change the group as a valid form says. Return False, with the faults in the form, if that does not fit or the
        group has changed since the form was shown."""
        values = self.cleaned_data
        group.version = values["version"]
        until = values["muted_until"] if values["state"] == ErrorState.MUTED else None
        try:
            group_changes.change(
                group, values["reason"], state=values["state"], muted_until=until, assignee=values["assignee"]
            )
        except ValidationError as error:
            self.add_error(None, error)
        except StaleObject as error:
            self.add_error(None, str(error))
        return self.is_valid()

    def take_version_of(self, group: ErrorGroup) -> None:
        """Take the current version of `group`, so that the form, sent once more, changes the group as it is now."""
        sent = {name: self.data[name] for name in self.data}  # of a QueryDict the last values, as the form takes them
        self.data = sent | {"version": group.version}

    @classmethod
    def from_group(cls, group: ErrorGroup) -> Self:
        return cls(group)


def _assignee_field(group: ErrorGroup) -> "forms.ModelChoiceField[Model]":
    """Return the choice of the first users of the staff by their names, and of who is the assignee now."""
    users = get_user_model()._default_manager.order_by(get_user_model().USERNAME_FIELD)
    staff = list(users.filter(is_active=True, is_staff=True).values_list("pk", flat=True)[: MOST_USERS + 1])
    return forms.ModelChoiceField(
        users.filter(pk__in=[*staff[:MOST_USERS], group.assignee_id]),
        label=_("Assignee"), required=False, empty_label=_("nobody"),
        help_text=format_lazy(MORE_USERS, number=MOST_USERS) if len(staff) > MOST_USERS else "",
    )  # fmt: skip
