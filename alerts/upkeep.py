"""Alerts as a task of `manage.py upkeep`, and the repetition of the scan in the process of `manage.py serve`."""

from django.utils.translation import gettext_lazy as _

from alerts.conf import alerts_settings
from alerts.models import Expectation
from alerts.scan import scan
from executions.upkeep.repetition import repeat
from executions.upkeep.task import Progress, Result, Task


def repeat_alerts() -> None:
    """Scan every few seconds, until the process ends."""
    repeat(scan, alerts_settings.SCAN_EVERY_SECONDS)


def plan_scan() -> Result:
    return Result(rows=Expectation.objects.current().count())


def apply_scan(_progress: Progress) -> Result:
    scan()
    return plan_scan()


TASKS = (Task("alerts", _("expectations checked"), plan_scan, apply_scan),)
