"""Following the ledger as it is written: what a stream sends, from where it goes on, who waits for what.

`cursor` says how far somebody has read, `reading` what has become visible since, `waiting` hears that there is news,
`hub` reads it once for all who watch the same, `stream` is what one of them is sent. docs/live.md tells it as a whole.
"""
