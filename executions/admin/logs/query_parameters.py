"""Query parameters of the log page: which lines it shows, and how."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from executions.admin.types import Lines, User
from executions.models import LogLevel, WorkflowExecution
from ledgerkit.db.models import parse_uuid

LEVELS = LogLevel.values  # from the least severe
ALL = "all"  # lines around a match
CONTEXTS = ("0", "3", "10", ALL)
AROUND = "3"
TIMES = {"absolute": _("date and time"), "relative": _("how long ago"), "start": _("since the start")}
MAX_SEARCH_LENGTH = 200  # characters of a search text


class InvalidLogQuery(ValueError):
    """An unknown value of a query parameter; `name` is the parameter."""

    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value
        super().__init__(f"{name}={value}")


@dataclass(frozen=True)
class LogQuery:
    """Parsed query. `level` is the lowest level shown, `node` a node execution of the run, and `attempt` an attempt of
    the node executions and of the run. `q` is the search text, `context` the number of lines around each match or ALL,
    and `start` the first line of the view."""

    level: str = ""
    node: UUID | None = None
    attempt: int = 0
    q: str = ""
    context: str = AROUND
    time: str = "absolute"
    wrap: bool = False
    start: UUID | None = None

    @classmethod
    def read(cls, query: QueryDict) -> "LogQuery":
        """Parse the query string. Raises InvalidLogQuery."""
        return cls(
            level=_one_of(query, "level", LEVELS),
            node=_id(query, "node"),
            attempt=_attempt(query),
            q=query.get("q", "").strip()[:MAX_SEARCH_LENGTH],
            context=_one_of(query, "context", CONTEXTS) or AROUND,
            time=_one_of(query, "time", tuple(TIMES)) or "absolute",
            wrap=query.get("wrap", "") not in {"", "0"},
            start=_id(query, "start"),
        )

    @property
    def is_narrowed(self) -> bool:
        """Return whether the query may exclude lines."""
        return bool(self.level or self.node or self.attempt or self.q or self.start)

    @property
    def shows_matches_only(self) -> bool:
        return bool(self.q) and self.context != ALL

    @property
    def context_lines(self) -> int:
        return 0 if self.context == ALL else int(self.context)

    @property
    def levels(self) -> list[str]:
        return LEVELS[LEVELS.index(self.level) :] if self.level else LEVELS

    def lines(self, run: WorkflowExecution, user: User) -> Lines:
        """Return the run's visible lines, filtered by level, node and attempt; neither ordered nor searched."""
        lines = run.logs.visible_to(user)
        if self.level and self.level != LEVELS[0]:
            lines = lines.filter(level__in=self.levels)
        lines = lines.filter(attempt=self.attempt) if self.attempt else lines
        return lines.filter(node_execution=self.node) if self.node else lines

    def query(self, **others: object) -> str:
        """Return the query string of this query with the parameters `others`, such as `at` for the link to a line."""
        # Defaults are omitted, so that equal views have equal URLs.
        parameters = {"level": self.level, "node": self.node, "attempt": self.attempt, "q": self.q, "start": self.start}
        parameters["context"] = self.context if self.q and self.context != AROUND else ""
        parameters |= {"time": self.time if self.time != "absolute" else "", "wrap": "1" if self.wrap else ""}
        return "?" + urlencode({name: str(value) for name, value in (parameters | others).items() if value})

    def without(self, *names: str) -> "LogQuery":
        plain = LogQuery()
        return replace(self, **{name: getattr(plain, name) for name in names})

    @property
    def everything(self) -> str:
        """Return the query string of all lines, with the same display options."""
        return self.without("level", "node", "attempt", "q", "context", "start").query()


def _one_of(query: QueryDict, name: str, offered: Any) -> str:
    value = query.get(name, "")
    if value and value not in offered:
        raise InvalidLogQuery(name, value)
    return str(value)


def _attempt(query: QueryDict) -> int:
    value = query.get("attempt", "")
    if not value:
        return 0
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 10 and int(value)):
        raise InvalidLogQuery("attempt", value)
    return int(value)


def _id(query: QueryDict, name: str) -> UUID | None:
    value = query.get(name, "")
    if value and parse_uuid(value) is None:
        raise InvalidLogQuery(name, value)
    return parse_uuid(value)
