"""Following the ledger as it is written: what a stream sends, from where it goes on, who waits for what.

`cursor` says how far somebody has read, `reader` what has become visible since, `listener` hears that there is news,
`hub` reads it once for all who watch the same, `stream` is what one of them is sent. docs/live.md tells it as a whole.
"""
