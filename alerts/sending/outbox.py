"""The outbox: deliveries are claimed, sent without a connection to the database, and their result is stored.

A claim moves `next_try_at` into the future, past the time that a try may take, in a transaction of its own with SKIP
LOCKED. Several processes send at once and none waits for another. One that dies while it sends has lost nothing: the
delivery is due again. The receiver may have got it already, and knows it by its id.
"""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, Queue

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from alerts.conf import alerts_settings
from alerts.metrics import DELIVERIES
from alerts.models import Channel, Delivery, DeliveryState

from .messages import Gone, NotSent, send

logger = logging.getLogger(__name__)

PER_CHANNEL = 4  # at once: a receiver that hangs does not hold up the others
AT_ONCE = 32
MOST_ENDLESS = 16  # tries of a channel that have not ended, after which it is not tried
LONGER = 60  # seconds that a claim lasts beyond two tries
ENDLESS = "The receiver did not end in time."
NOT_TRIED = "It was not tried, as %s earlier tries through this channel have not ended."
FIRST_DELAY, LONGEST_DELAY = 5, 6 * 3_600  # seconds


@dataclass(frozen=True)
class Result:
    """The result of one try. `retry_after`: seconds that the receiver wants to be left alone."""

    delivery: Delivery
    answer: int | None = None
    error: str = ""
    retry_after: int = 0
    is_gone: bool = False


def send_due(*, is_failing: bool | None = None) -> int:
    """Send what is due through all channels, or those that failed last, or the others. Return how many messages were
    tried."""
    claimed = _claim(is_failing)
    if claimed and not connection.in_atomic_block:
        connection.close()  # to the pool: a receiver may take long
    for result in _send_all(claimed):
        _store(result)
    return len(claimed)


def _send_all(claimed: list[Delivery]) -> Iterator[Result]:
    """Send each in a thread of its own, and yield the results as they come, for as long as the claim lasts at most: a
    mail server may never end, which is a failure. The threads do not keep a process that ends."""
    until = time.monotonic() + _claim_seconds()
    results: Queue[Result] = Queue()
    _start_threads(claimed, results)
    waiting = {each.pk: each for each in claimed}
    while waiting:
        try:
            result = results.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            logger.warning("Messages of alerts are not sent in time; they are tried again.")
            yield from (Result(each, error=ENDLESS) for each in waiting.values())
            return
        del waiting[result.delivery.pk]
        yield result


def _start_threads(claimed: list[Delivery], results: Queue[Result]) -> None:
    """Start a thread for each delivery. Those of a channel of which too many have not ended fail at once: each would
    leave one more thread and connection."""
    under_way = Counter(thread.name for thread in threading.enumerate())
    for delivery in claimed:
        if (endless := under_way[name := f"channel {delivery.channel_id}"]) >= MOST_ENDLESS:
            results.put(Result(delivery, error=NOT_TRIED % endless))
        else:
            threading.Thread(target=lambda each=delivery: results.put(_try(each)), daemon=True, name=name).start()


def _claim_seconds() -> float:
    return 2.0 * alerts_settings.SEND_SECONDS + LONGER


@transaction.atomic
def _claim(is_failing: bool | None) -> list[Delivery]:
    """Return the deliveries that are due, a few of each channel, with their channels and rules."""
    now = timezone.now()
    due = Delivery.objects.filter(state=DeliveryState.WAITING, next_try_at__lte=now, channel__is_active=True)
    if is_failing is not None:
        due = due.filter(channel__failing_since__isnull=not is_failing)
    found: list[Delivery] = []
    channels = list(due.order_by().values_list("channel", flat=True).distinct())
    random.shuffle(channels)
    for channel in channels:
        of_channel = due.filter(channel=channel).order_by("next_try_at", "id")
        found += of_channel.select_for_update(skip_locked=True, of=("self",))[:PER_CHANNEL]
        if len(found) >= AT_ONCE:
            break
    pks = [each.pk for each in found]
    until = now + timedelta(seconds=_claim_seconds())
    Delivery.objects.filter(pk__in=pks).update(next_try_at=until, tries=F("tries") + 1, tried_at=now)
    return list(Delivery.objects.filter(pk__in=pks).select_related("channel", "alert"))


def _try(delivery: Delivery) -> Result:
    try:
        return Result(delivery, answer=send(delivery))
    except Gone as gone:
        return Result(delivery, gone.answer, str(gone), is_gone=True)
    except NotSent as error:
        return Result(delivery, error.answer, str(error), error.retry_after)
    except Exception as error:  # the delivery says what, and the others go on
        logger.exception("The message %s could not be sent.", delivery)
        return Result(delivery, error=type(error).__name__)


def _store(result: Result) -> None:
    """Store the result, if the delivery was not tried or put into the outbox again meanwhile."""
    delivery, now = result.delivery, timezone.now()
    rows = Delivery.objects.filter(pk=delivery.pk, tried_at=delivery.tried_at, state=DeliveryState.WAITING)
    changes: dict[str, object] = {"answer": result.answer, "error": result.error[:1_000]}
    with transaction.atomic():
        if not result.error:
            rows.update(**changes, state=DeliveryState.DELIVERED)
            Channel.objects.filter(pk=delivery.channel_id).exclude(failing_since=None).update(failing_since=None)
        else:
            rows.update(**changes, **_next(delivery, result, now))
            _count_failure(delivery, now, is_gone=result.is_gone)
    if result.error:  # which is on the page of deliveries: it may name recipients
        answered = result.answer or "no answer"
        logger.warning("The message %s was not delivered: %s, try %s.", delivery, answered, delivery.tries)
    DELIVERIES.labels(delivery.channel.kind, "failed" if result.error else "delivered").inc()


def _next(delivery: Delivery, result: Result, now: datetime) -> dict[str, object]:
    """Return when it is tried again: after a delay that grows, with jitter; or that it is given up."""
    if delivery.queued_at < now - timedelta(days=alerts_settings.GIVE_UP_DAYS):
        return {"state": DeliveryState.GIVEN_UP}
    delay = min(FIRST_DELAY * 4 ** min(delivery.tries - 1, 10), LONGEST_DELAY) * random.uniform(0.75, 1.25)  # noqa: S311  # spreads tries, hides nothing
    return {"next_try_at": now + timedelta(seconds=max(delay, result.retry_after))}


def _count_failure(delivery: Delivery, now: datetime, *, is_gone: bool) -> None:
    """Note since when the channel fails, and disable it after days of nothing else, or if the receiver is gone."""
    rows = Channel.objects.filter(pk=delivery.channel_id, is_active=True)
    known = rows.exclude(failing_since=None)
    still = known if delivery.tries > 1 else known.filter(Exists(_others_that_failed(delivery)))
    rows.exclude(pk__in=still.values("pk")).update(failing_since=delivery.tried_at)
    too_long = rows.filter(failing_since__lt=now - timedelta(days=alerts_settings.GIVE_UP_DAYS))
    (rows if is_gone else too_long).update(is_active=False, disabled_at=now)


def _others_that_failed(delivery: Delivery) -> QuerySet[Delivery]:
    """Return the other messages that failed before this one, since their channel fails; they may be tried together with
    it. Where they were deleted, nothing may have been tried for days: the channel fails anew."""
    waiting = Delivery.objects.filter(channel=OuterRef("pk"), state=DeliveryState.WAITING)
    earlier = Q(tried_at__lt=delivery.tried_at) | Q(tries__gt=1)
    return waiting.filter(earlier, tried_at__gte=OuterRef("failing_since")).exclude(error="")
