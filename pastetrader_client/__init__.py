"""The reporter for engines: it records runs, nodes and log lines in an execution ledger. The engine never waits for the
network.

    client.py       Client: the interface for engines
    runs.py         Run and Node, with one method for each transition
    reporter.py     the common base of runs and nodes: log lines, and the block of a `with` statement
    decorators.py   functions as runs and nodes
    log_handler.py  a logging.Handler
    encoding.py     facts → JSON
    documents.py    values → copies that the engine cannot change → JSON
    tracebacks.py   exceptions → the parts of a traceback → its text
    safe_text.py    lengths of texts, and texts of any object
    graphs.py       graph= → nodes and edges
    definitions.py  the definitions that this process has reported
    ids.py          UUIDs of version 7
    bounded_dict.py dicts that forget their oldest entries
    outbox.py       facts that wait in memory
    spool.py        facts that wait in a file
    spill_thread.py the thread that moves facts from memory to files
    sender.py       the thread that sends
    timers.py       functions that the sending thread calls later
    batches.py      send a batch, define what is missing, leave out refused facts
    facts_awaiting_creation.py  facts of runs and nodes that another process has still to create
    failing_facts.py  facts at which the ledger answers 500
    run_watch.py    runs and nodes that may be cancelled or retried in the ledger
    queued_starts.py  queued runs that wait for their turn
    leases.py       heartbeats of the attempts that this process executes
    backoff.py      waits between calls to a ledger that is unavailable
    trace_context.py  the traceparent of a run
    transport.py    the interface of a transport; http_transport.py implements it over HTTP
    process_exit.py exit, fork and SIGTERM
    program_name.py the name of the program, for its files
    celery.py       Celery's tasks as nodes; celery_graphs.py, celery_headers.py, celery_requests.py, celery_run_ends.py
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
