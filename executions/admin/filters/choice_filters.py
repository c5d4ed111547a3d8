"""Filters by a choice of a column: status, trigger and level."""

from django.utils.translation import gettext_lazy as _

from executions.models import ExecutionStatus, LogLevel, TriggerType
from ledgerkit.admin.list_filters import SeveralFilter


class StatusFilter(SeveralFilter):
    title = _("status")
    field_template = "admin/ledgerkit/filters/toggles.html"
    parameter_name = "status"
    offered = ExecutionStatus.choices


class TriggerFilter(SeveralFilter):
    title = _("trigger")
    parameter_name = "trigger_type"
    offered = TriggerType.choices


class LevelFilter(SeveralFilter):
    title = _("level")
    field_template = "admin/ledgerkit/filters/toggles.html"
    parameter_name = "level"
    offered = LogLevel.choices
