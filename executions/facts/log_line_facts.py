"""Add the log lines of facts to the plan of their run, each with its attempt."""

from uuid import UUID

from executions import log_preparation
from executions.dropped_log_lines import DroppedLine, is_below

from . import fact_kinds as kinds
from .fact_kinds import Reported
from .refusals import NO_NODE, TAKEN, BadFact
from .rows import NewLine, Row
from .run_plan import Plan


def add_line(plan: Plan, fact: kinds.Line, reported: Reported) -> bool:
    stored = plan.known.stored_lines
    if stored is not None and (of_run := stored.get(fact.id)) is not None:
        if of_run != plan.id:
            raise BadFact("exists_with_other_content", TAKEN)
        return False
    run = plan.the_run
    row = run if fact.node_execution is None else _node_of(plan, fact.node_execution)
    if fact.run_token is not None:
        plan.check_run_token(fact, log_preparation.ADD_LINE)
    if fact.token is not None:
        plan.known.leases.check(log_preparation.ADD_LINE, row, fact.token)
    texts = reported.texts
    if plan.secrets_error is not None:
        plan.check_secrets(log_preparation.ADD_LINE, run, texts)
    if run.log_level is not None and is_below(fact.level, run.log_level):
        plan.dropped.append(DroppedLine(plan.id, texts.get("source") or "", run.log_level, fact.seq))
        return True
    message, source = log_preparation.cut(texts["message"]), texts.get("source")
    plan.lines.append(NewLine(
        fact.id, plan.id, fact.level, message, reported.at or plan.known.now, fact.attempt or row.attempt,
        fact.node_execution, texts.get("data"), message is not texts["message"],
        source and source[: log_preparation.MAX_SOURCE], fact.seq,
    ))  # fmt: skip
    if stored is not None:
        stored[fact.id] = plan.id
    return True


def _node_of(plan: Plan, id: UUID) -> Row:
    """Return the node execution that the line names."""
    if (node := plan.find_node(id)) is None:
        raise BadFact("invalid", f"node_execution: {NO_NODE}")
    return node
