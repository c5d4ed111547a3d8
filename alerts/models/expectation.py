"""Expectation: what should happen to the runs of a workflow, and Miss: that it did not."""

import datetime
from typing import Unpack
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import OuterRef, Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from alerts import calendars
from alerts.durations import format_interval
from ledgerkit import time_zones
from ledgerkit.db.models import SaveArguments, VersionedModel, VersionedQuerySet
from workflows.history import DefinitionChange
from workflows.models import Workflow
from workflows.querysets import User, can_view_all

LEAST_SECONDS, MOST_SECONDS = 60, 31_622_400  # a minute to a year


class ExpectationKind(models.TextChoices):
    SUCCESS_EVERY = "success_every", _("a success at least every …")
    STARTS_BY = "starts_by", _("starts by …")
    ENDS_WITHIN = "ends_within", _("ends within …")


BY_CLOCK = Q(kind=ExpectationKind.STARTS_BY, seconds=None) & ~Q(time=None) & ~Q(time_zone="") & ~Q(days="")
BY_SECONDS = (
    ~Q(seconds=None)
    & Q(seconds__range=(LEAST_SECONDS, MOST_SECONDS), time=None, time_zone="", days="")
    & ~Q(kind=ExpectationKind.STARTS_BY)
)


class ExpectationQuerySet(VersionedQuerySet["Expectation"]):
    def visible_to(self, user: User) -> "ExpectationQuerySet":
        """Filter to expectations of workflows that the user owns; staff who may view expectations see all."""
        if can_view_all(user, "alerts.view_expectation"):
            return self
        return self.filter(workflow__owner_id=user.pk) if user.pk else self.none()

    def current(self) -> "ExpectationQuerySet":
        """Filter to those that count now, with their workflows: not of one that is inactive or in the trash. Annotate
        what `counts_from` needs."""
        rows = self.filter(is_active=True, workflow__is_active=True, workflow__deleted_at=None)
        last_switch = DefinitionChange.last_switch(OuterRef("workflow"))
        return rows.select_related("workflow").annotate(last_switch=last_switch)


class Expectation(VersionedModel):
    """`seconds` is of "a success at least every" and "ends within"; `time`, `time_zone` and `days` are of "starts by".
    `days` is every_day, weekdays or the code of an exchange."""

    workflow = models.ForeignKey(
        Workflow, on_delete=models.DB_CASCADE, related_name="expectations", verbose_name=_("workflow")
    )
    kind = models.CharField(_("kind"), max_length=50, choices=ExpectationKind)
    seconds = models.PositiveIntegerField(
        _("seconds"), null=True, blank=True, help_text=_("60 to 31622400: of a success at least every …, ends within …")
    )
    time = models.TimeField(_("time of day"), null=True, blank=True, help_text=_("Of starts by …, such as 09:10"))
    time_zone = models.CharField(
        _("time zone"), max_length=64, blank=True, default="", db_default="", help_text=_("Such as Asia/Seoul")
    )
    days = models.CharField(
        _("days"), max_length=50, blank=True, default="", db_default="",
        help_text=_("every_day, weekdays, or the code of an exchange for its trading days, such as XKRX"),
    )  # fmt: skip
    is_active = models.BooleanField(_("active"), default=True, db_default=True)

    objects = ExpectationQuerySet.as_manager()

    class Meta:
        db_table = "alert_expectations"
        verbose_name = _("expectation")
        verbose_name_plural = _("expectations")
        ordering = ["workflow", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=ExpectationKind.values), name="alert_expectation_kind_known"),
            models.CheckConstraint(condition=BY_CLOCK | BY_SECONDS, name="alert_expectation_complete"),
        ]

    def __str__(self) -> str:
        """Return it as a sentence in the language of the page."""
        if self.kind == ExpectationKind.STARTS_BY and self.time is not None:
            at = "24:00" if self.time == datetime.time.min else f"{self.time:%H:%M}"
            return gettext("Starts by %(time)s %(zone)s, %(days)s.") % {
                "time": at, "zone": self.time_zone, "days": describe_days(self.days),
            }  # fmt: skip
        if self.kind == ExpectationKind.ENDS_WITHIN:
            return gettext("Ends within %(duration)s.") % {"duration": format_interval(self.seconds or 0)}
        return gettext("A success at least every %(duration)s.") % {"duration": format_interval(self.seconds or 0)}

    @property
    def owner_id(self) -> object:
        """Return the id of its workflow's owner."""
        return self.workflow.owner_id

    @property
    def duration(self) -> datetime.timedelta:
        return datetime.timedelta(seconds=self.seconds or 0)

    @property
    def at(self) -> datetime.time:
        return self.time or datetime.time.min

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def counts_from(self) -> datetime.datetime:
        """Return since when it counts, of one that current() found: nothing before is missed. It was made or changed
        then, or its workflow was switched on or restored."""
        last_switch: datetime.datetime | None = vars(self)["last_switch"]
        return max(self.updated_at, last_switch or self.updated_at)

    @property
    def missed_since(self) -> datetime.datetime | None:
        """Return since when it is missed; None if it is met, or has not been looked at."""
        miss = getattr(self, "miss", None)
        return miss.since if miss is not None and miss.is_open else None

    def clean(self) -> None:
        super().clean()
        if self.kind == ExpectationKind.STARTS_BY:
            self._check_clock()
        else:
            self._check_seconds()

    def save(self, **kwargs: Unpack[SaveArguments]) -> None:
        """Validate and save. Raises ValidationError for an unknown zone or calendar, which the database cannot
        know, and for fields of another kind."""
        self.clean()
        super().save(**kwargs)

    def _check_clock(self) -> None:
        missing = {name: MISSING for name in ("time", "time_zone", "days") if not getattr(self, name)}
        if missing:
            raise ValidationError(missing, code="required")
        if self.seconds is not None:
            raise ValidationError({"seconds": OF_OTHER}, code="invalid")
        if self.time_zone not in time_zones.known_zones():
            raise ValidationError({"time_zone": NO_ZONE}, code="invalid")
        calendars.check(self.days)

    def _check_seconds(self) -> None:
        if self.seconds is None or not LEAST_SECONDS <= self.seconds <= MOST_SECONDS:
            raise ValidationError({"seconds": SECONDS}, code="invalid")
        if others := {name: OF_OTHER for name in ("time", "time_zone", "days") if getattr(self, name)}:
            raise ValidationError(others, code="invalid")


MISSING = _("This kind of expectation needs it.")
OF_OTHER = _("This is of another kind of expectation: leave it empty.")
NO_ZONE = _("There is no such time zone: expected a name such as Asia/Seoul.")
SECONDS = _("Expected 60 to 31622400 seconds, a minute to a year.")


def describe_days(days: str) -> str:
    if days == calendars.EVERY_DAY:
        return gettext("every day")
    if days == calendars.WEEKDAYS:
        return gettext("Monday to Friday")
    return gettext("on trading days of %(exchange)s") % {"exchange": days}


# What the occurrence begins with if the package knows no later trading days: nobody knows what is expected then.
CALENDAR_ENDED = "calendar ended "


class Miss(models.Model):
    """The last time that an expectation was missed, found by a scan. `is_open`: it has not happened since either.
    `run` is that of "ends within"."""

    expectation = models.OneToOneField(
        Expectation, on_delete=models.DB_CASCADE, primary_key=True, related_name="miss", verbose_name=_("expectation")
    )
    since = models.DateTimeField(_("since"))
    run = models.UUIDField(_("run"), null=True)
    occurrence = models.TextField(_("occurrence"))
    is_open = models.BooleanField(_("open"), default=True, db_default=True)

    class Meta:
        db_table = "alert_misses"
        default_permissions = ()

    def __str__(self) -> str:
        return self.occurrence
