"""Log lines in memory, with the attempt that they are of."""

from executions import log_preparation
from executions.log_levels import DroppedLine, is_below

from . import fact_kinds as kinds
from .fact_kinds import Reported
from .locked_rows import NewLine
from .planned_changes import Plan
from .refusals import NO_NODE, TAKEN, BadFact


def add_line(plan: Plan, fact: kinds.Line, reported: Reported) -> bool:
    stored = plan.known.stored_lines
    if stored is not None and (of_run := stored.get(fact.id)) is not None:
        if of_run != plan.id:
            raise BadFact("exists_with_other_content", TAKEN)
        return False
    current = _attempt_of(plan, fact)
    texts = reported.texts
    plan.check_secrets(log_preparation.ADD_LINE, plan.the_run, texts)
    if is_below(fact.level, level := plan.the_run.log_level):
        plan.dropped.append(DroppedLine(plan.id, texts.get("source") or "", str(level), fact.seq))
        return True
    message, source = log_preparation.cut(texts["message"]), texts.get("source")
    plan.lines.append(NewLine(
        fact.id, plan.id, fact.node_execution, fact.level, message, texts.get("data"),
        reported.at or plan.known.now, message is not texts["message"],
        source and source[: log_preparation.MAX_SOURCE], fact.seq, fact.attempt or current,
    ))  # fmt: skip
    if stored is not None:
        stored[fact.id] = plan.id
    return True


def _attempt_of(plan: Plan, fact: kinds.Line) -> int:
    """Return the current attempt of the node execution that the line names, or of the run."""
    if (id := fact.node_execution) is None:
        return plan.the_run.attempt
    if (node := plan.nodes.get(id)) is not None:
        return node.attempt
    run, attempt = plan.known.line_nodes.get(id, (None, 0))
    if run != plan.id:
        raise BadFact("invalid", f"node_execution: {NO_NODE}")
    return attempt
