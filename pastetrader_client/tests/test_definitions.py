"""Workflows that several processes define at once, each with the nodes that it needs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from executions.models import NodeExecution, WorkflowExecution
from pastetrader_client import Client
from workflows.models import Workflow

PROCESSES, TIMES = range(6), range(3)


def test_nodes_that_processes_add_to_a_workflow_at_once_are_all_recorded(connect: Callable[..., Client]) -> None:
    clients = [connect() for _ in PROCESSES]

    def work(process: int) -> bool:
        for time in TIMES:
            with clients[process].run(workflow="w") as run, run.node(f"node {process} {time}"):
                pass
            assert clients[process].flush()
        return True

    with ThreadPoolExecutor(len(PROCESSES)) as threads:
        assert all(threads.map(work, PROCESSES))
    assert WorkflowExecution.objects.filter(status="completed", failed_nodes=0).count() == 18
    assert NodeExecution.objects.filter(status="completed").count() == Workflow.objects.get().nodes.count() == 18


def test_so_are_those_that_processes_add_which_know_only_the_run(connect: Callable[..., Client]) -> None:
    clients = [connect() for _ in PROCESSES]
    run = clients[0].run(workflow="w")
    run.start()
    assert clients[0].flush()

    def work(process: int) -> bool:
        with clients[process].attach(run.id).node(f"node {process}"):
            pass
        return clients[process].flush()

    with ThreadPoolExecutor(len(PROCESSES)) as threads:
        assert all(threads.map(work, PROCESSES))
    assert NodeExecution.objects.filter(status="completed").count() == len(PROCESSES)
