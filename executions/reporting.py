"""The reporter in the process of the ledger: the same client as over HTTP, and one function that reports facts.

    with reporting.client(user).run(workflow="momentum") as run, run.node("load") as node:
        node.info("read %d rows", 7)

Code in this process is trusted, as with the methods of the models: it may report of every run, and `user`, or nobody,
is the owner of the workflows that it names and the actor of the history. Needs the wheel `pastetrader-client`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import (
    DataError,
    Error,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
    transaction,
)

from executions import audit
from executions.facts import record
from executions.facts.call_outcome import Outcome
from executions.facts.record_in_process import ensure_workflow, lock_workflow_name, record_body
from executions.facts.refusals import NotFacts
from executions.models import WorkflowExecution
from ledgerkit.db import names
from ledgerkit.db.models import parse_uuid
from pastetrader_client import Answer, Client, Notice, Unavailable
from pastetrader_client import Refusal as ClientRefusal
from pastetrader_client.transport import Failed, TooLarge
from workflows.api.serializers import WorkflowSerializer
from workflows.models import Workflow

logger = logging.getLogger("pastetrader_client")


def client(user: Any = None, **options: Any) -> Client:
    """Return a client whose facts are stored by this process. Options are those of Client."""
    return Client(transport=InProcess(user), **{"spool": False, "sigterm": False, **options})


def report(facts: Sequence[Mapping[str, object]], user: Any = None) -> Outcome:
    """Store facts as `POST events/` takes them, in this thread. Raises NotFacts."""
    return record(facts, user=user)


class InProcess:
    """The transport that stores facts by the function that the API uses too."""

    def __init__(self, user: Any = None) -> None:
        self.user = user

    @property
    def http(self) -> None:
        return None

    def send(self, bodies: Sequence[bytes]) -> Answer:
        try:
            found = self._with_database(lambda: record_body(b"[" + b",".join(bodies) + b"]", user=self.user))
        except (NotFacts, DataError) as error:  # as of a body: sent again it would fail again
            raise TooLarge(str(error)) from None
        return Answer(
            [ClientRefusal(each.index, each.code, each.detail, each.current_state) for each in found.refusals],
            [
                Notice(str(each.run), each.act, each.attempt, str(each.node or ""), each.status)
                for each in found.notices
            ],
            found.applied, found.known,
        )  # fmt: skip

    def define(self, workflow: str | None, run: str, nodes: Sequence[Mapping[str, object]]) -> bool:
        if workflow is not None and (fault := names.find_error(workflow)):
            logger.error("the ledger takes no workflow of this name: %s", fault)
            return False
        with audit.act_as(user=self.user):
            return self._with_database(lambda: _define(workflow, run, nodes, self.user))

    def read_run(self, run: str) -> Mapping[str, object]:
        """Return the run with its nodes. Raises LookupError."""
        key = parse_uuid(run)
        row = WorkflowExecution.objects.filter(pk=key).first() if key else None
        if row is None:
            raise LookupError(f"There is no run {run}.")
        nodes = row.node_executions.order_by("id").values("id", "node_name", "status", "attempt")
        named = [{**node, "id": str(node["id"]), "name": node["node_name"]} for node in nodes]
        return {"attempt": row.attempt, "workflow": row.workflow_name, "nodes": named}

    def close(self) -> None:
        """Give the connection of the sending thread back."""
        connections.close_all()

    def forget_connections(self) -> None:
        """Do nothing: Django's connections are those of a thread."""

    @staticmethod
    def _with_database[T](call: Callable[[], T]) -> T:
        close_old_connections()
        try:
            return call()
        except DataError:
            raise
        except Error as error:
            is_away = isinstance(error, OperationalError | InterfaceError)
            raise (Unavailable if is_away else Failed)(f"{type(error).__name__}: {error}") from None
        finally:
            connections.close_all()  # only the sending thread can give its connection back, and it may be idle for long


@transaction.atomic
def _define(workflow: str | None, run: str, nodes: Sequence[Mapping[str, object]], user: Any) -> bool:
    wanted = list(nodes)
    if workflow is None or parse_uuid(workflow):
        key = {"pk": workflow} if workflow else {"executions": run}
        found = Workflow.objects.with_graph().filter(**key).first()
    else:
        found = lock_workflow_name(workflow, user)
        if found is None:
            return not ensure_workflow({"name": workflow, "nodes": wanted}, user)
    return found is not None and _add_nodes(found, wanted)


def _add_nodes(workflow: Workflow, wanted: Sequence[Mapping[str, object]]) -> bool:
    row = Workflow.objects.with_graph().get(pk=workflow.pk)
    stored = WorkflowSerializer(row).data["nodes"]
    known = {node["name"] for node in stored} | {node["id"] for node in stored}
    missing = [node for node in wanted if node["name"] not in known]
    serializer = WorkflowSerializer(row, data={"nodes": [*stored, *missing]}, partial=True)
    if not missing:
        return True
    if not serializer.is_valid():
        return False
    serializer.save()
    return True
