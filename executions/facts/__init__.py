"""Many facts of many runs in one call (`POST events/`): decoded, applied to locked rows by the table of states, and
stored by a fixed number of statements.

    fact_kinds.py               the kinds of facts, and their fields
    body_decoding.py            a body → facts that are well-formed, and refusals
    caller.py                   who reports, and what they see
    workflow_definitions.py     the workflows, nodes and graphs that facts name
    text_masking.py             what facts would store, masked
    rows.py                     the rows that facts change, in memory
    row_reading.py              these rows read, and locked in the order of their ids
    loaded_data.py              all that was read for the facts of a call
    run_plan.py                 facts → changed rows in memory, run by run; one refused fact undoes its run
    log_line_facts.py           the same for log lines
    run_queues.py               running and queued runs of workflows that run one at a time
    attempt_leases.py           the leases of attempts, and the tokens of reports
    start_transitions.py        the same for starts and heartbeats
    retry_transitions.py        the same for retries
    status_observations.py      the same for what an observer saw, in any order
    apply_facts.py            the function of a plan for each kind
    row_storage.py              changed rows → one call of the database
    facts_by_kind.py            the facts of a call by their kind
    batch_recording.py          all of it, once more where another call was faster
    call_outcome.py, refusals.py  the results of the facts
    record_in_process.py        the same for code of this process: record()
"""

from .record_in_process import record

__all__ = ["record"]
