"""Refusals of single facts, and the errors that lead to them."""

from dataclasses import dataclass
from uuid import UUID

from ledgerkit.rest.problems import rule_for

NO_RUN = "There is no run with this id, or none that you may see."
NO_NODE = "This execution has no node execution with this id."
NO_NODE_OF_WORKFLOW = "node: The workflow of this execution has no node with this id or name."
NO_WORKFLOW = "workflow: No workflow has this id, and you own none with this name."
INACTIVE = "workflow: This workflow is not active: activate it before you execute it."
TAKEN = "Another row already has this id: choose a different one."
WHICH_ATTEMPT = (
    "attempt: Expected the number of the attempt, as this call retries a row that it does not create. Without it the "
    "same call, sent again, would apply to the next attempt."
)
TOO_MANY_PARTITIONS = "These lines need {} new partitions: expected at most {} in one call. Send several calls."
TOO_MANY_ENTRIES = "This call makes more than {} entries of the history: send the facts in several calls."


class NotFacts(ValueError):
    """A call of which no fact can be applied."""


class BadFact(Exception):
    """The fact is invalid, whatever the state of its run. `detail` says what to send instead."""

    def __init__(self, code: str, detail: object) -> None:
        super().__init__(code, str(detail))
        self.code, self.detail = code, str(detail)


MAX_DETAIL = 500  # characters: a call may have as many refusals as facts


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a fact. `run` is None if the fact names none."""

    index: int
    code: str
    detail: str
    run: UUID | None = None
    current_state: str | None = None
    version: int | None = None

    @classmethod
    def from_error(cls, index: int, run: UUID | None, error: Exception) -> "Refusal":
        """Return the refusal for a BadFact or an InvalidTransition."""
        if isinstance(error, BadFact):
            return cls(index, error.code, _cut(error.detail), run)
        rule = rule_for(type(error))
        state, version = getattr(error, "state", None), getattr(error, "version", None)
        return cls(index, rule.code if rule else "invalid", _cut(str(error)), run, state, version)


def _cut(detail: str) -> str:
    return detail if len(detail) <= MAX_DETAIL else f"{detail[: MAX_DETAIL - 3]}..."
