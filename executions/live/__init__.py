"""Live streams of what is written to the ledger.

`cursor` is the position of a reader, `reader` reads what was committed since, `listener` receives notifications,
`topics` reads each step once for all readers of the same source, `server_sent_events` sends it to one of them.
docs/live.md explains the design.
"""
