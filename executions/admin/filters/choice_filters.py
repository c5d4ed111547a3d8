"""Filters by a choice of a column: status, trigger and level."""

from django.utils.translation import gettext_lazy as _

from executions.models import ExecutionStatus, LogLevel, TriggerType
from ledgerkit.admin.lists import ConstantFilter


class StatusFilter(ConstantFilter):
    title = _("status")
    parameter_name = "status"
    offered = ExecutionStatus.choices


class TriggerFilter(ConstantFilter):
    title = _("trigger")
    parameter_name = "trigger_type"
    offered = TriggerType.choices


class LevelFilter(ConstantFilter):
    title = _("level")
    parameter_name = "level"
    offered = LogLevel.choices
