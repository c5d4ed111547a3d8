"""Alerts as tasks of `manage.py upkeep`, and the repetition of scans and of sending in `manage.py serve`."""

import logging
import time
from datetime import timedelta
from functools import partial

import django.db
import psycopg
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from alerts.conf import alerts_settings
from alerts.models import Alert, Delivery, DeliveryState, Expectation
from alerts.scan import scan
from alerts.sending.outbox import send_due
from executions.upkeep.loop import repeat
from executions.upkeep.task import Progress, Result, Task

DELETED_AT_ONCE = 1_000
SEND_EVERY = 1  # seconds between two looks for messages that are due
SENT_FOR_SECONDS = 60  # by `manage.py upkeep`

logger = logging.getLogger(__name__)


def repeat_scans() -> None:
    """Scan every few seconds, until the process ends."""
    repeat(scan_or_log, alerts_settings.SCAN_EVERY_SECONDS)


def repeat_messages(*, is_failing: bool) -> None:
    """Send what is due, within a second, until the process ends: through channels that failed last, or the others,
    which do not wait for those."""
    repeat(partial(send_or_log, is_failing=is_failing), SEND_EVERY)


def scan_or_log() -> None:
    """Scan once. An error that is not the database's is logged: the next scan may not meet it."""
    try:
        scan()
    except (django.db.Error, psycopg.Error):
        raise
    except Exception:
        logger.exception("The scan for alerts failed.")


def send_or_log(*, is_failing: bool) -> None:
    """Send what is due. An error that is not the database's is logged, as above."""
    try:
        while send_due(is_failing=is_failing):
            pass
    except (django.db.Error, psycopg.Error):
        raise
    except Exception:
        logger.exception("Sending messages of alerts failed.")


def send_for(seconds: float) -> int:
    """Send due messages until the deadline, through channels that fail at the end; a message in progress may exceed it.
    Return how many were tried."""
    until, tried = time.monotonic() + seconds, 0
    while number := send_due(is_failing=False) or send_due(is_failing=True):
        tried += number
        if time.monotonic() > until:
            break
    return tried


def plan_scan() -> Result:
    return Result(rows=Expectation.objects.current().count())


def apply_scan(_progress: Progress) -> Result:
    scan()
    send_for(SENT_FOR_SECONDS)
    return plan_scan()


def plan_removal() -> Result:
    return Result(rows=_old_alerts().count())


def apply_removal(progress: Progress) -> Result:
    """Delete old alerts; their messages are deleted with them."""
    done = 0
    while pks := list(_old_alerts().values_list("pk", flat=True)[:DELETED_AT_ONCE]):
        Alert.objects.filter(pk__in=pks).delete()
        done += len(pks)
        progress(done, done)
    return Result(rows=done)


def _old_alerts() -> django.db.models.QuerySet[Alert]:
    """Return the old alerts of which no message waits. One for a channel that is not active waits for as long as it
    would be tried."""
    now = timezone.now()
    tried = Q(channel__is_active=True) | Q(queued_at__gte=now - timedelta(days=alerts_settings.GIVE_UP_DAYS))
    waiting = Delivery.objects.filter(tried, alert=OuterRef("pk"), state=DeliveryState.WAITING)
    old = Alert.objects.filter(created_at__lt=now - timedelta(days=alerts_settings.KEEP_DAYS))
    return old.exclude(Exists(waiting)).order_by()


TASKS = (
    Task("alerts", _("expectations checked"), plan_scan, apply_scan),
    Task("alert_records", _("alerts removed"), plan_removal, apply_removal),
)
