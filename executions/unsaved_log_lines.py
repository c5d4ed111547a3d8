"""Log lines of one call, before they are stored."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from ledgerkit.db.models import uuid7


@dataclass
class UnsavedLine:
    """The columns of a line. To make an object of the model takes three to six times as long (benches.line_validation),
    and the lines of a call come by the thousand."""

    id: UUID
    workflow_execution_id: UUID
    node_execution_id: UUID | None
    level: str
    message: str
    data: Any
    timestamp: datetime
    is_cut: bool
    source: str | None
    seq: int | None
    attempt: int | None
    found_secrets: Set[str] = frozenset()  # as those of models.base.MaskedTexts

    @classmethod
    def from_values(cls, run: UUID, values: Mapping[str, Any], now: datetime) -> Self:
        """Return a line of a run from what was validated."""
        value = values.get
        return cls(
            value("id") or uuid7(), run, value("node_execution_id"), values["level"], values["message"], value("data"),
            value("timestamp") or now, False, value("source"), value("seq"), value("attempt"),
        )  # fmt: skip

    @property
    def run_id(self) -> UUID:
        return self.workflow_execution_id
