"""Records of other systems as facts of the ledger (`manage.py import_runs`, `POST lineage`).

    dbt.py                run_results.json and manifest.json
    argo.py               an Argo Workflow object
    wfformat.py           a WfFormat instance
    openlineage.py        RunEvents
    conversion.py         what every converter builds on: ids, times, places in a document
    files.py              files → facts, by the format that is detected
    workflow_extension.py add the nodes and edges that events name to workflows
    record_facts.py       facts → ledger, within this process
    record_lineage.py     events → ledger

A converter is a function from a document to facts as `POST events/` takes them. It neither reads a file nor a table.
"""
