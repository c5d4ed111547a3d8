"""Index of the lines of a view, for an exact scrollbar: positions of lines, levels and matches. Takes two scans of one
index range, and a third one for a search."""

from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import BooleanField, Case, F, Q, StringAgg, Value, When
from django.db.models.functions import Left, Mod

from executions import limits
from executions.admin.types import JSON, Lines
from executions.models import LogLevel
from ledgerkit.db import names

from .querysets import ORDER, PLACE

MAX_ERRORS = 2_000
LETTERS = {level[0]: level for level in LogLevel.values}  # their first letters differ


@dataclass(frozen=True)
class Index:
    """Positions count from 0. `marks` are the ids of every LOG_PAGE_LINES-th line; `levels` has one letter for
    each line."""

    levels: str
    marks: list[UUID]
    place: int | None = None  # of the requested line
    matches: list[int] | None = None  # None without a search
    counts: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        counts = {level: self.levels[: limits.INDEXED_LINES].count(letter) for letter, level in LETTERS.items()}
        object.__setattr__(self, "counts", {level: count for level, count in counts.items() if count})

    @property
    def count(self) -> int:
        return min(len(self.levels), limits.INDEXED_LINES)

    @property
    def is_more(self) -> bool:
        return len(self.levels) > limits.INDEXED_LINES

    @property
    def errors(self) -> list[int]:
        places: list[int] = []
        place = self.levels.find("e")
        while place >= 0 and len(places) < MAX_ERRORS:
            places.append(place)
            place = self.levels.find("e", place + 1)
        return places

    @property
    def found(self) -> int:
        return min(len(self.matches or ()), limits.INDEXED_MATCHES)

    @property
    def found_more(self) -> bool:
        return len(self.matches or ()) > limits.INDEXED_MATCHES

    def for_script(self) -> JSON:
        return {
            "size": limits.LOG_PAGE_LINES,
            "count": self.count,
            "more": self.is_more,
            "marks": [str(mark) for mark in self.marks],
            "errors": self.errors,
            "counts": self.counts,
            "place": self.place,
            "matches": None if self.matches is None else self.matches[: limits.INDEXED_MATCHES],
            "moreMatches": self.found_more,
        }


def build_index(lines: Lines, q: str, pk: UUID | None = None) -> Index:
    """Build the index of at most INDEXED_LINES lines. `place` is the position of the line `pk`, if given."""
    marks = _marks(lines, pk)
    place = next((number - 1 for mark, number in marks if mark == pk), None)
    every = [mark for mark, number in marks if number % limits.LOG_PAGE_LINES == 1]
    return Index(_levels(lines), every, place, _matches(lines, q) if q else None)


def _marks(lines: Lines, pk: UUID | None) -> list[tuple[UUID, int]]:
    counted = lines.order_by().annotate(number=PLACE).annotate(rest=Mod(F("number"), Value(limits.LOG_PAGE_LINES)))
    wanted = Q(rest=1) | Q(pk=pk) if pk else Q(rest=1)
    return list(counted.filter(wanted, number__lte=limits.INDEXED_LINES).values_list("pk", "number"))


def _levels(lines: Lines) -> str:
    letter = Left("level", 1)
    of_these = lines.order_by(*ORDER)[: limits.INDEXED_LINES + 1]
    joined = of_these.aggregate(levels=StringAgg(letter, Value(""), order_by=list(ORDER)))["levels"]
    return joined or ""


def _matches(lines: Lines, q: str) -> list[int]:
    """Return the positions of at most INDEXED_MATCHES + 1 matches, counted among all lines. The search must not
    restrict what ROW_NUMBER() counts: ORed with the number, Django filters after the window function, in an outer
    query."""
    hit = Case(When(names.contains("message", q), then=True), default=False, output_field=BooleanField())
    counted = lines.order_by().annotate(number=PLACE, hit=hit)
    found = counted.filter(Q(hit=True) | Q(number=0), number__lte=limits.INDEXED_LINES).order_by("number")
    return [number - 1 for number in found.values_list("number", flat=True)[: limits.INDEXED_MATCHES + 1]]
