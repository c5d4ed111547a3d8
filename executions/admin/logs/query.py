"""What the address asks of a log: which lines, and how they are shown."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from executions.models import LogLevel
from ledgerkit.db.models import parse_uuid

LEVELS = LogLevel.values  # from the quietest up
ALL = "all"  # lines around a match
CONTEXTS = ("0", "3", "10", ALL)
AROUND = "3"
TIMES = {"absolute": _("date and time"), "relative": _("how long ago"), "start": _("since the start")}
LONGEST = 200  # characters that are looked for


class InvalidLogQuery(ValueError):
    """The address asks for what there is not; `name` is the parameter, `value` what it says."""

    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value
        super().__init__(f"{name}={value}")


@dataclass(frozen=True)
class LogQuery:
    """`level` and what is above it; `node` is one of the run's node executions; `q` is looked for in messages, and
    `context` lines around each match are shown with it, or all; `start` is the line that the view begins with."""

    level: str = ""
    node: UUID | None = None
    q: str = ""
    context: str = AROUND
    time: str = "absolute"
    wrap: bool = False
    start: UUID | None = None

    @classmethod
    def read(cls, query: QueryDict) -> "LogQuery":
        """Raises Unreadable."""
        return cls(
            level=_one_of(query, "level", LEVELS),
            node=_id(query, "node"),
            q=query.get("q", "").strip()[:LONGEST],
            context=_one_of(query, "context", CONTEXTS) or AROUND,
            time=_one_of(query, "time", tuple(TIMES)) or "absolute",
            wrap=query.get("wrap", "") not in {"", "0"},
            start=_id(query, "start"),
        )

    @property
    def is_narrowed(self) -> bool:
        """Some lines may be left out."""
        return bool(self.level or self.node or self.q or self.start)

    @property
    def shows_matches_only(self) -> bool:
        return bool(self.q) and self.context != ALL

    @property
    def around(self) -> int:
        return 0 if self.context == ALL else int(self.context)

    @property
    def levels(self) -> list[str]:
        return LEVELS[LEVELS.index(self.level) :] if self.level else LEVELS

    def lines(self, run: Any, user: Any) -> Any:
        """Of the run, those that level and node leave; neither ordered nor searched."""
        lines = run.logs.visible_to(user)
        if self.level and self.level != LEVELS[0]:
            lines = lines.filter(level__in=self.levels)
        return lines.filter(node_execution=self.node) if self.node else lines

    def query(self, **others: Any) -> str:
        """The query string of this, with `others` beside it; of a line, `at`."""
        said = {"level": self.level, "node": self.node, "q": self.q, "start": self.start}
        said["context"] = self.context if self.q and self.context != AROUND else ""
        said |= {"time": self.time if self.time != "absolute" else "", "wrap": "1" if self.wrap else ""}
        return "?" + urlencode({name: str(value) for name, value in (said | others).items() if value})

    def without(self, *names: str) -> "LogQuery":
        plain = LogQuery()
        return replace(self, **{name: getattr(plain, name) for name in names})

    @property
    def everything(self) -> str:
        """The query string of all lines, shown in the same way."""
        return self.without("level", "node", "q", "context", "start").query()


def _one_of(query: QueryDict, name: str, offered: Any) -> str:
    value = query.get(name, "")
    if value and value not in offered:
        raise InvalidLogQuery(name, value)
    return str(value)


def _id(query: QueryDict, name: str) -> UUID | None:
    value = query.get(name, "")
    if value and parse_uuid(value) is None:
        raise InvalidLogQuery(name, value)
    return parse_uuid(value)
