"""A small session with the API in which every operation is called once at least: what `examples.json` records, and what
a server holds before it is fuzzed. Ids are chosen, so that the recorded requests may be sent again."""

import re
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from .recording_of_actions import record_bulk_action
from .steady_values import steady

# (method, path under /api/v1/, body or None, headers) → (status, body or None, headers)
Answer = tuple[int, Any, dict[str, str]]
Call = Callable[[str, str, Any, dict[str, str]], Answer]

WORKFLOW = "019ab0c4-0000-7000-8000-000000000001"
LOAD, RANK = "019ab0c4-0000-7000-8000-000000000011", "019ab0c4-0000-7000-8000-000000000012"
SPARE = "019ab0c4-0000-7000-8000-000000000002"
RUN = "019ab0c4-0000-7000-8000-000000000101"
CANCELLED, FAILED, DELETED = (f"019ab0c4-0000-7000-8000-00000000010{n}" for n in (2, 3, 4))
RUN_LOAD, RUN_RANK = "019ab0c4-0000-7000-8000-000000000111", "019ab0c4-0000-7000-8000-000000000112"
SPARE_LOAD, SPARE_RANK = "019ab0c4-0000-7000-8000-000000000113", "019ab0c4-0000-7000-8000-000000000114"
NOBODY = "019ab0c4-0000-7000-8000-0000000000ff"
REPORTED, REPORTED_LOAD = (f"019ab0c4-0000-7000-8000-0000000002{n}" for n in ("01", "11"))
AGAIN = "019ab0c4-0000-7000-8000-000000000105"
CHOSEN = {
    AGAIN, REPORTED, REPORTED_LOAD,
    WORKFLOW, LOAD, RANK, SPARE, RUN, CANCELLED, FAILED, DELETED, RUN_LOAD, RUN_RANK, SPARE_LOAD, SPARE_RANK, NOBODY,
}  # fmt: skip


class Recorder:
    """Plays the session by `call`, and keeps the requests and their answers."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.operations: dict[str, dict[str, dict[str, Any]]] = {}
        self.problems: dict[str, dict[str, Any]] = {}

    def __call__(self, operation: str, name: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, answer, _ = self.call(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        kept = self.operations.setdefault(operation, {})
        if status >= 400:
            self.problems.setdefault(str(status), {}).setdefault(answer["code"], answer)
            return answer
        if body is not None:
            kept.setdefault("request", {})[name] = body
        if answer is not None:
            kept.setdefault(str(status), {})[name] = answer
        return answer

    def exchanges(self) -> dict[str, Any]:
        """Return all exchanges as `examples.json` stores them, without values that differ between sessions."""
        return steady({"operations": self.operations, "problems": self.problems}, CHOSEN)


EVENT = {
    "eventType": "START",
    "eventTime": "2026-11-20T21:00:00Z",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "019ab0c4-0000-7000-8000-000000000301", "facets": {}},
    "job": {"namespace": "prod", "name": "dbt-run-shop", "facets": {}},
}


def play(say: Recorder) -> None:
    define(say)
    run(say)
    report(say)
    alert(say)
    record_bulk_action(say)
    cursor = look(say)
    end(say)
    say("getExecutionMoves", "since an id", "GET", f"executions/stream/?wait=0&last_event_id={cursor}")
    say("reportLineage", "start of a run", "POST", "lineage", EVENT)
    be_refused(say)


def define(say: Recorder) -> None:
    graph = {
        "nodes": [
            {
                "id": LOAD,
                "name": "load",
                "node_type": "tool",
                "timeout_seconds": 60,
                "retry_config": {"max_retries": 2},
            },
            {"id": RANK, "name": "rank", "node_type": "aggregator"},
        ],
        "edges": [{"source_node": "load", "target_node": "rank", "label": "prices"}],
    }
    prices = {"id": WORKFLOW, "name": "Prices", "description": "Daily prices, ranked", **graph}
    say("createWorkflow", "graph", "POST", "workflows/", prices)
    say("createWorkflow", "empty", "POST", "workflows/", {"id": SPARE, "name": "Spare"})
    say("replaceWorkflow", "graph", "PUT", f"workflows/{WORKFLOW}/", {"name": "Prices", **graph})
    expected = [
        {"kind": "success_every", "seconds": 86_400},
        {"kind": "starts_by", "time": "09:10", "time_zone": "Asia/Seoul", "days": "weekdays"},
    ]
    address = f"workflows/{WORKFLOW}/expectations/"
    say("replaceWorkflowExpectations", "two", "PUT", address, {"expectations": expected})
    say("getWorkflowExpectations", "two", "GET", address)
    say("updateWorkflow", "variables", "PATCH", f"workflows/{WORKFLOW}/", {"variables": {"days": 120}})


def run(say: Recorder) -> None:
    metadata = {"tags": ["daily"], "triggered_by": "scheduler", "priority": "high", "correlation_id": "c-1"}
    context = {"secrets": {"api_key": "sk-not-shown-again"}, "environment": {"region": "eu"}}
    new = {"id": RUN, "workflow": WORKFLOW, "trigger_type": "schedule", "input_data": {"day": "2026-11-20"}}
    whole = {**new, "metadata": {**metadata, "allow_concurrent": True}, "context": context}
    say("createExecution", "run", "POST", "executions/", whole)
    say("createExecution", "run", "POST", "executions/", whole)  # 200: it is there
    for id in (CANCELLED, FAILED, DELETED):
        body = {"id": id, "workflow": WORKFLOW, "trigger_type": "manual", "metadata": {"allow_concurrent": True}}
        say("createExecution", "smallest", "POST", "executions/", body)
    lease = {"worker": "worker-3", "lease_seconds": 3_600}  # it expires after all other times
    token = say("startExecution", "under a lease", "POST", f"executions/{RUN}/start/", lease).get("token")
    say("extendExecutionLease", "token", "POST", f"executions/{RUN}/heartbeat/", {"token": token})
    load = {"id": RUN_LOAD, "node": "load", "input_data": {"symbols": ["IBM", "GOOG"]}}
    say("createExecutionNode", "by name", "POST", f"executions/{RUN}/nodes/", load)
    say("createExecutionNode", "by name", "POST", f"executions/{RUN}/nodes/", load)
    say("createExecutionNode", "by id", "POST", f"executions/{RUN}/nodes/", {"id": RUN_RANK, "node": RANK})
    token = say("startNodeExecution", "under a lease", "POST", f"node-executions/{RUN_LOAD}/start/", lease).get("token")
    say("extendNodeExecutionLease", "token", "POST", f"node-executions/{RUN_LOAD}/heartbeat/", {"token": token})
    line = {"level": "info", "message": "loading", "node_execution": RUN_LOAD}
    say("createExecutionLogs", "one line", "POST", f"executions/{RUN}/logs/", line)
    error = {"level": "error", "message": "row 409 is cut off", "node_execution": RUN_LOAD, "data": {"row": 409}}
    error |= {"source": "worker-3", "seq": 2}  # line 1 is missing
    lines = [line | {"message": "2368 rows so far", "timestamp": "2026-11-20T21:00:02Z"}, error]
    say("createExecutionLogs", "several lines", "POST", f"executions/{RUN}/logs/", lines)
    say("createExecutionLogs", "no lines", "POST", f"executions/{RUN}/logs/", [])
    failure = {
        "error_message": "row 409 is cut off",
        "error_traceback": "ValueError: row 409 is cut off",
    }
    say("failNodeExecution", "error", "POST", f"node-executions/{RUN_LOAD}/fail/", failure)
    say("retryNodeExecution", "node", "POST", f"node-executions/{RUN_LOAD}/retry/")
    say("startNodeExecution", "again", "POST", f"node-executions/{RUN_LOAD}/start/")
    rows = {"output_data": {"rows": 2368}}
    say("completeNodeExecution", "output", "POST", f"node-executions/{RUN_LOAD}/complete/", rows)
    say("skipNodeExecution", "node", "POST", f"node-executions/{RUN_RANK}/skip/")
    say("completeExecution", "output", "POST", f"executions/{RUN}/complete/", {"output_data": {"first": "GOOG"}})


def id_of_now() -> str:
    """Return a UUIDv7: an old id of a log line is refused. The ledger's own is not used: the fuzzer loads no models."""
    milliseconds = int(datetime.now(UTC).timestamp() * 1000)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | secrets.randbits(62)))


def report(say: Recorder) -> None:
    of_node = {"id": REPORTED_LOAD, "workflow_execution": REPORTED}
    new = {"id": REPORTED, "workflow": "Prices", "trigger_type": "event", "metadata": {"allow_concurrent": True}}
    line = {"id": id_of_now(), "workflow_execution": REPORTED, "level": "info", "message": "2368 rows"}
    facts = [
        {"kind": "execution.create", **new},
        {"kind": "execution.start", "id": REPORTED, "at": "2026-11-20T21:00:00Z"},
        {"kind": "node.create", "node": "load", **of_node},
        {"kind": "node.start", "at": "2026-11-20T21:00:01Z", **of_node},
        {"kind": "log", "node_execution": REPORTED_LOAD, "at": "2026-11-20T21:00:02Z", **line},
        {"kind": "node.complete", "at": "2026-11-20T21:00:03Z", "output_data": {"rows": 2368}, **of_node},
        {"kind": "execution.complete", "id": REPORTED, "at": "2026-11-20T21:00:04Z"},
    ]
    say("reportEvents", "a run", "POST", "events/", facts)
    late = {"kind": "node.skip", "attempt": 1, **of_node}
    say("reportEvents", "a refused fact", "POST", "events/", [late])


def end(say: Recorder) -> None:
    say("startExecution", "other", "POST", f"executions/{FAILED}/start/")
    say("createExecutionNode", "of another", "POST", f"executions/{FAILED}/nodes/", {"id": SPARE_LOAD, "node": "load"})
    say("cancelNodeExecution", "node", "POST", f"node-executions/{SPARE_LOAD}/cancel/")
    say("failExecution", "error", "POST", f"executions/{FAILED}/fail/", {"error_message": "The exchange is closed."})
    say("retryExecution", "run", "POST", f"executions/{FAILED}/retry/")
    say("listExecutionAttempts", "one retry", "GET", f"executions/{FAILED}/attempts/")
    say("getExecutionAttempt", "first", "GET", f"executions/{FAILED}/attempts/1/")
    again = {"id": AGAIN, "input_data": {"day": "2026-11-21"}, "from_node": "load", "reason": "the prices were late"}
    say("rerunExecution", "with another input", "POST", f"executions/{FAILED}/rerun/", again)
    say("rerunExecution", "repeated", "POST", f"executions/{FAILED}/rerun/", again)
    say("cancelExecution", "run", "POST", f"executions/{CANCELLED}/cancel/", {"reason": "the exchange is closed"})
    say("listExecutionHistory", "cancelled", "GET", f"executions/{CANCELLED}/history/")
    say("deleteExecution", "run", "DELETE", f"executions/{DELETED}/", {"reason": "A rehearsal."})
    say("deleteWorkflow", "workflow", "DELETE", f"workflows/{SPARE}/")


def alert(say: Recorder) -> None:
    webhook = {"name": "Operations", "kind": "webhook", "address": "https://hooks.example.com/not-shown-again"}
    channel = f"alerts/channels/{say('createAlertChannel', 'webhook', 'POST', 'alerts/channels/', webhook).get('id')}/"
    mail = {"name": "On call", "kind": "email", "recipients": ["on-call@example.com"], "is_active": False}
    spare = say("createAlertChannel", "e-mail", "POST", "alerts/channels/", mail).get("id")
    say("updateAlertChannel", "recipients", "PATCH", f"alerts/channels/{spare}/", {"recipients": ["ops@example.com"]})
    say("listAlertChannels", "page", "GET", "alerts/channels/")
    say("getAlertChannel", "webhook", "GET", channel)
    new = {"name": "Prices fail", "workflow": WORKFLOW, "kinds": ["first_failure", "recovery"], "channels": [spare]}
    rule = f"alerts/rules/{say('createAlertRule', 'of a workflow', 'POST', 'alerts/rules/', new).get('id')}/"
    say("updateAlertRule", "damping", "PATCH", rule, {"most": 1, "within_seconds": 3_600})
    say("listAlertRules", "page", "GET", "alerts/rules/")
    say("getAlertRule", "of a workflow", "GET", rule)
    say("listAlertDeliveries", "none", "GET", "alerts/deliveries/")
    say("deleteAlertRule", "rule", "DELETE", rule)
    for address in (channel, f"alerts/channels/{spare}/"):
        say("deleteAlertChannel", "channel", "DELETE", address)


def look(say: Recorder) -> str:
    """Return the `id` of the last event of a run's stream."""
    say("listWorkflows", "page", "GET", "workflows/?page_size=1")
    say("getWorkflow", "graph", "GET", f"workflows/{WORKFLOW}/")
    say("getWorkflowGraph", "graph", "GET", f"workflows/{WORKFLOW}/graph/")
    say("duplicateWorkflow", "copy", "POST", f"workflows/{WORKFLOW}/duplicate/", {"name": "Prices, tried out"})
    backtest = {"name": "Backtest", "nodes": [{"name": "load", "node_type": "tool"}]}
    say("ensureWorkflow", "made", "POST", "workflows/ensure/", backtest)
    say("ensureWorkflow", "found", "POST", "workflows/ensure/", backtest)
    say("getExecutionGraph", "graph", "GET", f"executions/{RUN}/graph/")
    say("listExecutions", "page", "GET", "executions/?page_size=1&status=completed,failed&ordering=-created")
    say("listExecutions", "some fields", "GET", "executions/?fields=id,status&tag=daily")
    say("getExecution", "run", "GET", f"executions/{RUN}/")
    say("getExecution", "with nodes and lines", "GET", f"executions/{RUN}/?expand=nodes,logs&fields=id,status")
    stream = say("getExecutionStream", "all there is", "GET", f"executions/{RUN}/stream/?wait=0")
    say("listExecutionNodes", "page", "GET", f"executions/{RUN}/nodes/?page_size=1")
    say("listExecutionLogs", "page", "GET", f"executions/{RUN}/logs/?level_min=warning")
    say("getMissingExecutionLogs", "", "GET", f"executions/{RUN}/logs/gaps/")
    say("keepExecution", "with a reason", "PUT", f"executions/{RUN}/keep/", {"reason": "evidence of the audit"})
    say("getExecutionKeep", "kept", "GET", f"executions/{RUN}/keep/")
    say("releaseExecution", "", "DELETE", f"executions/{RUN}/keep/")
    notes = f"executions/{RUN}/notes/"
    say("writeExecutionNote", "note", "POST", notes, {"text": "The vendor delivered the prices at 03:10."})
    say("editExecutionNote", "edited", "PATCH", f"{notes}1/", {"text": "The vendor delivered the prices at 03:20."})
    say("getExecutionNotes", "one note", "GET", notes)
    say("removeExecutionNote", "", "DELETE", f"{notes}1/")
    say("listNodeExecutions", "page", "GET", "node-executions/?status=completed&page_size=1")
    say("getNodeExecution", "node", "GET", f"node-executions/{RUN_LOAD}/")
    say("listNodeExecutionAttempts", "one retry", "GET", f"node-executions/{RUN_LOAD}/attempts/")
    say("getNodeExecutionAttempt", "first", "GET", f"node-executions/{RUN_LOAD}/attempts/1/")
    today = datetime.now(UTC)
    period = urlencode(
        {"after": (today - timedelta(days=1)).isoformat(), "before": (today + timedelta(days=1)).isoformat()}
    )
    say("listLogs", "page", "GET", f"logs/?{period}&page_size=1")
    return str(re.findall(r"^id: (.*)$", stream, re.MULTILINE)[-1])


def be_refused(say: Recorder) -> None:
    say("listExecutions", "", "GET", "executions/?status=done")
    say("createExecution", "", "POST", "executions/", {"workflow": NOBODY, "metadata": {"tags": "daily"}})
    say("listExecutions", "", "GET", "executions/", Authorization="Bearer ptl_unknown")
    say("getExecution", "", "GET", f"executions/{NOBODY}/")
    say("getExecution", "", "GET", f"executions/{RUN}/", Accept="text/csv")
    say("completeExecution", "", "POST", f"executions/{RUN}/complete/", {})
    say("completeExecution", "", "POST", f"executions/{RUN}/complete/", {"token": NOBODY})
    say("cancelExecution", "", "POST", f"executions/{FAILED}/cancel/", {}, If_Match='"99"')
    say("createExecution", "", "POST", "executions/", {}, Content_Type="text/plain")
    key = "9b2d7e30-6f0a-4a34-9d5e-53a3a1f7a001"
    say("failExecution", "", "POST", f"executions/{FAILED}/fail/", {"error_message": "One."}, Idempotency_Key=key)
    say("failExecution", "", "POST", f"executions/{FAILED}/fail/", {"error_message": "Two."}, Idempotency_Key=key)
