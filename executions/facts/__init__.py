"""Many facts of many runs in one call (`POST events/`): decoded, applied to locked rows by the table of states, and
stored by a fixed number of statements.

    fact_kinds.py               the kinds of facts, and their fields
    body_decoding.py            a body → valid facts and refusals
    fact_checks.py              checks of ids, times and documents
    caller.py                   who reports, and their rights
    workflow_definitions.py     the workflows, nodes and graphs that facts name
    text_masking.py             the texts of facts, masked
    rows.py                     rows of runs, nodes and lines, as facts change them in memory
    row_reading.py              read these rows, and lock them in the order of their ids
    loaded_data.py              all data that was read for the facts of a call
    run_plan.py                 facts → changed rows in memory, run by run; one refused fact undoes its run
    log_line_facts.py           the same for log lines
    run_queues.py               running and queued runs of workflows that run one at a time
    attempt_leases.py           the leases of attempts, and the tokens of reports
    start_transitions.py        the same for starts and heartbeats
    retry_transitions.py        the same for retries
    status_observations.py      the same for the observed state of a run or a node, in any order
    apply_facts.py              apply the facts of a run, each by the function of its kind
    row_storage.py              changed rows → one call of the database
    facts_by_kind.py            the facts of a call by their kind
    batch_recording.py          all these steps, again if a concurrent call was faster
    call_outcome.py, refusals.py  the results of the facts
    record_in_process.py        the same for code of this process: record()
"""

from .record_in_process import record

__all__ = ["record"]
