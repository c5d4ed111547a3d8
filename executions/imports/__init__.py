"""Records of other systems as facts of the ledger (`manage.py import_runs`, `POST lineage`).

    dbt.py          run_results.json and manifest.json
    argo.py         an Argo Workflow object
    wfformat.py     a WfFormat instance
    openlineage.py  RunEvents
    documents.py    what every converter builds on: ids, times, places in a document
    files.py        files → facts, by the format that is detected
    graphs.py       workflows that grow by what events name
    recording.py    facts → ledger, within this process
    lineage.py      events → ledger

A converter is a function from a document to facts as `POST events/` takes them. It neither reads a file nor a table.
"""
