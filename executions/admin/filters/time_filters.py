"""Filters by a period with a free beginning and end, and by a duration."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import creation_bounds, partitions, run_conditions, sort_keys
from executions.admin.types import JSON
from ledgerkit import time_zones
from ledgerkit.admin.lists import Chip, Choice, ConstantFilter, ModelAdmin, Option
from ledgerkit.db import json_validation

from .order_and_columns import OrderFilter

# As the pages write them, also in Korean, and with fewer spaces.
DURATION = re.compile(
    r"(?:(\d{1,5}) ?(?:d|일))? ?(?:(\d{1,6}) ?(?:h|시간))? ?(?:(\d{1,8}) ?(?:min|m|분))? ?"
    r"(?:(\d{1,9}(?:\.\d{1,3})?) ?(?:s|초|$))? ?(?:(\d{1,9}) ?ms)?",
    re.ASCII,
)
UNITS = ("days", "hours", "minutes", "seconds", "milliseconds")

OFFSET = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$", re.IGNORECASE | re.ASCII)


class FieldsFilter(ConstantFilter):
    """A filter of several fields, each with a parameter of its own."""

    fields: ClassVar[tuple[str, ...]]

    def __init__(self, request: HttpRequest, params: JSON, model: type[Model], model_admin: ModelAdmin) -> None:
        self.given = {name: str(params.pop(name)[-1]) for name in self.fields if name in params}
        super().__init__(request, params, model, model_admin)

    @classmethod
    def parameters(cls) -> Iterable[str]:
        return cls.fields

    def expected_parameters(self) -> list[str | None]:
        return [*self.fields]

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        return []

    def has_output(self) -> bool:
        return True

    def parts(self) -> Sequence[Q]:
        """Return bounds of the creation that its index answers, for a filter by other times of runs."""
        return [Q()]


class FromToFilter(FieldsFilter):
    """Filter by the creation or by another time of `offered`. Without an offset, times are in the reader's zone."""

    title = _("period")
    parameter_name = "from"
    refusal = _("A time has a date, a time of day and optionally an offset, such as 2026-11-28T02:00+09:00.")
    is_common = False
    fields: ClassVar[tuple[str, ...]] = ("from", "to", "time")
    field_template = "admin/executions/filters/period.html"
    offered: ClassVar[Sequence[Choice]] = (
        ("created", _("created")), ("started", _("started")), ("ended", _("ended")),
    )  # fmt: skip
    columns: ClassVar[dict[str, str]] = {
        "created": "created_at", "started": "started_at", "ended": "ended_at",
    }  # fmt: skip

    @classmethod
    def canonical(cls, values: list[str]) -> str:
        """Return a time with its offset, so that a colleague in another zone sees the same rows."""
        found = _parse_or_none(values[-1])
        return found.isoformat() if found and not OFFSET.search(values[-1]) else values[-1]

    @property
    def time_field(self) -> str:
        return self.given.get("time", self.offered[0][0])

    @property
    def options(self) -> list[Option]:
        return [Option(value, title, value == self.time_field) for value, title in self.offered]

    @property
    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return the beginning and the end. Raises IncorrectLookupParameters."""
        since, until = (_parse(self.given.get(name, "")) for name in ("from", "to"))
        if since and until and until < since:
            times = {"from": time_zones.clock(since), "to": time_zones.clock(until)}
            sentence = gettext("The period ends before it begins: from %(from)s to %(to)s. Exchange the two times.")
            raise IncorrectLookupParameters(sentence % times)
        return since, until

    @property
    def local_from(self) -> str:
        return _field_value(self.given.get("from", ""))

    @property
    def local_to(self) -> str:
        return _field_value(self.given.get("to", ""))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        since, until = self.bounds
        if self.time_field not in dict(self.offered):
            times = ", ".join(value for value, _title in self.offered)
            raise IncorrectLookupParameters(gettext("Possible times: %(times)s.") % {"times": times})
        rows = queryset.filter(*self.conditions(since, until))
        if self.time_field != "started":
            return rows
        is_by_start = request.GET.get(str(OrderFilter.parameter_name), "").endswith("started")
        return rows.filter(run_conditions.by_starts(since, until, in_order=is_by_start))

    def conditions(self, since: datetime | None, until: datetime | None) -> list[Q]:
        column = self.columns[self.time_field]
        bounds = {f"{column}__gte": since, f"{column}__lt": until}
        return [Q(**{name: moment}) for name, moment in bounds.items() if moment]

    def parts(self) -> Sequence[Q]:
        since, until = self.bounds
        if self.time_field == "created" or not (since or until):
            return [Q()]
        return creation_bounds.parts([since] if since else [], [until] if until else [])

    def chips(self, changelist: ChangeList) -> list[Chip]:
        since, until = self.bounds
        if since is None and until is None:
            return []
        words = " – ".join(time_zones.clock(each) if each else "…" for each in (since, until))
        return [
            Chip(
                dict(self.offered).get(self.time_field, self.time_field),
                words,
                changelist.get_query_string(remove=self.fields),
            )
        ]


class IdFromToFilter(FromToFilter):
    """Filter by the time in the UUIDv7 id: node executions have no index on a time column."""

    fields: ClassVar[tuple[str, ...]] = ("from", "to")
    offered: ClassVar[Sequence[Choice]] = (("created", _("created")),)

    def conditions(self, since: datetime | None, until: datetime | None) -> list[Q]:
        bounds = {"id__gte": since, "id__lt": until}
        return [Q(**{name: partitions.bound(moment)}) for name, moment in bounds.items() if moment]


class LineFromToFilter(FromToFilter):
    fields: ClassVar[tuple[str, ...]] = ("from", "to")
    offered: ClassVar[Sequence[Choice]] = (("logged", _("logged")),)
    columns: ClassVar[dict[str, str]] = {"logged": "timestamp"}


class DurationFilter(FieldsFilter):
    """Filter by the time from start to end."""

    duration: ClassVar[Combinable] = sort_keys.DURATION
    title = _("duration")
    parameter_name = "duration_min"
    refusal = _("A duration is a number of seconds, or has units: 90, 1.5 s, 40 ms, 5 min, 1 h 30 min or 3 d 4 h.")
    fields = ("duration_min", "duration_max")
    field_template = "admin/executions/filters/duration.html"
    is_common = False

    @property
    def least(self) -> str:
        return self.given.get("duration_min", "")

    @property
    def most(self) -> str:
        return self.given.get("duration_max", "")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        least, most = parse_duration(self.least), parse_duration(self.most)
        if least is None and most is None:
            return queryset
        if least is not None and most is not None and most < least:
            sentence = gettext("No duration is at least %(least)s and at most %(most)s. Exchange the two values.")
            raise IncorrectLookupParameters(sentence % {"least": self.least, "most": self.most})
        bounds = [GreaterThanOrEqual(self.duration, least or timedelta())]
        return queryset.filter(*bounds, *([LessThanOrEqual(self.duration, most)] if most is not None else []))

    def chips(self, changelist: ChangeList) -> list[Chip]:
        texts = {"duration_min": gettext("at least %(time)s"), "duration_max": gettext("at most %(time)s")}
        return [
            Chip(self.title, texts[name] % {"time": value}, changelist.get_query_string(remove=[name]))
            for name, value in self.given.items()
        ]


class NodeDurationFilter(DurationFilter):
    duration: ClassVar[Combinable] = sort_keys.NODE_DURATION

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        found = super().queryset(request, queryset)
        return found.filter(sort_keys.HAS_NODE_DURATION) if self.least or self.most else found


def parse_local(text: str) -> datetime:
    """Parse a time that PostgreSQL and the reader's zone can represent, without an offset in that zone. Raises
    ValueError, OverflowError."""
    found = parse_datetime(text)
    text = timezone.make_aware(found).isoformat() if found and found.tzinfo is None else text
    return timezone.localtime(json_validation.parse_utc_datetime(text))


def parse_duration(text: str) -> timedelta | None:
    """Parse "90", "1.5 s", "5m", "1h 30m" or "3 d 4 h"; None if empty. Raises IncorrectLookupParameters."""
    if not text:
        return None
    if (found := DURATION.fullmatch(text.strip())) is None or not any(found.groups()):
        raise IncorrectLookupParameters
    parts = (float(part or 0) for part in found.groups())
    return timedelta(**dict(zip(UNITS, parts, strict=True)))


def _parse(text: str) -> datetime | None:
    try:
        return parse_local(text) if text else None
    except (ValueError, OverflowError):
        raise IncorrectLookupParameters from None


def _parse_or_none(text: str) -> datetime | None:
    try:
        return parse_local(text)
    except (ValueError, OverflowError):
        return None


def _field_value(text: str) -> str:
    """Return the time as a field of the type datetime-local has it."""
    moment = _parse(text)
    if moment is None:
        return ""
    return moment.replace(tzinfo=None).isoformat("T", "seconds" if moment.second else "minutes")
