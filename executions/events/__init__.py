"""Many facts of many runs in one call (`POST events/`): decoded, applied to locked rows by the table of states, and
stored by a fixed number of statements.

    facts.py    the kinds of facts
    decode.py   a body → facts that are well-formed, and refusals
    texts.py    what facts would store, masked
    rows.py     the rows that facts are about, locked in the order of their ids
    moves.py    facts → changed rows in memory, run by run; one refused fact undoes its run
    retries.py  the same for retries
    lines.py    log lines → COPY
    store.py    changed rows → COPY, and one UPDATE for each table
    batch.py    all of it, once more where another call was faster
    outcome.py  what became of the facts
"""
