"""The reporter for engines: it records runs, nodes and log lines in an execution ledger. The engine never waits for the
network.

    client.py       Client: what an engine calls
    runs.py         Run and Node, with one method for each transition
    reporter.py     what runs and nodes have in common: log lines, and the block of a `with` statement
    decorators.py   functions as runs and nodes
    log_handler.py  a logging.Handler
    encoding.py     facts → JSON
    documents.py    values → copies that the engine cannot change → JSON
    tracebacks.py   exceptions → what a traceback is made of → its text
    safe_text.py    lengths of texts, and texts of any object
    graphs.py       graph= → nodes and edges
    definitions.py  the definitions that this process has reported
    ids.py          UUIDs of version 7
    bounded_dict.py dicts that forget their oldest entries
    outbox.py       facts that wait in memory
    spool.py        facts that wait in a file
    spill_thread.py the thread that moves facts from memory to files
    sender.py       the thread that sends
    timers.py       functions that it calls later
    batches.py      one batch: send, define what is missing, leave out what is refused
    run_watch.py    runs whose cancel or retry the engine wants to hear of
    queued_starts.py  queued runs that wait for their turn
    leases.py       heartbeats of the attempts that this process executes
    trace_context.py  the traceparent of a run
    transport.py    what a way to the ledger must be able to do; http_transport.py does it over HTTP
    process_exit.py exit, fork and SIGTERM
    celery.py       Celery's tasks as nodes; celery_graphs.py, celery_headers.py, celery_run_ends.py
"""

from .client import Client
from .queued_starts import TurnRefused, TurnTimedOut
from .reporter import NodeCancelled, NodeFenced, RunCancelled, RunFenced
from .runs import Node, Run, current_node, current_run
from .transport import Answer, Notice, Refusal, Stopped, Transport, Unavailable

__version__ = "0.2.0"
__all__ = [
    "Answer", "Client", "Node", "NodeCancelled", "NodeFenced", "Notice", "Refusal", "Run", "RunCancelled", "RunFenced",
    "Stopped", "Transport", "TurnRefused", "TurnTimedOut", "Unavailable", "current_node", "current_run",
]  # fmt: skip
