"""Limits of queries: how many rows each reads at most, and how long it may take.

Page sizes of lists, of the admin and the API, are in `ledgerkit/page_sizes.py`; bytes of a page are the setting
`LEDGERKIT["MAX_PAGE_BYTES"]`; the `statement_timeout` of the database connection limits every other statement.
"""

# Milliseconds of one statement
LIST_MS = 5_000  # of a list
WALK_MS = 10  # of the first walk along a list that is searched for a text, before its index
SHORT_SEARCH_MS = 25  # of the first search by the index, which is enough for a rare text
SEARCH_MS = 100  # of a search in the list's order, before another order is tried
LONG_SEARCH_MS = 200  # of the second walk along lines or runs, and then of the second search by the index
LONGER_MS = 300  # of a search by the index on the text alone, and of the third walk for an error
LONG_WALK_MS = 1_000  # of the last walk, before the index alone has all the time there is
PERCENTILES_MS = 500
ATTENTION_MS = 500  # of the marks of a list or a page
FIND_MS = 300  # of each part of the search for everything
FRONT_PAGE_MS = 1_000  # of a section
WORKFLOW_PAGE_MS = 2_000  # of a section
LOG_PAGE_MS = 5_000
BULK_MS = 10_000  # of counting and choosing the runs of a bulk action
COMPARISON_MS = 5_000  # the database reads every document

SEARCHED_DAYS = 30  # by a search in errors or lines, unless a filter gives another period

# Rows of lists and pages
MERGED_ROWS = 5_000  # read to find one page of several nodes' executions
FEW_ERRORS = 2_000  # of a workflow: all are read to find a text
FEW_STARTS = 500  # within a period: all are read by the index of the starts
VISIBLE_IDS = 2_000  # of workflows, or of their nodes, passed to a query of the API as ids
FILTER_VALUES = 100  # of one filter of the API
NAMED_NODES = 5_000  # of several workflows, passed to a query as ids; the caller asked for these
EXPANDED_LINES = 200  # `?expand=logs`
STREAM_ROWS = 2_000  # log lines or transitions in one step of a stream
OFFERED_WORKFLOWS = 30  # by a filter
SEARCHED_WORKFLOWS = 8  # of a filter: from so many on it has a search field
OWNED_WORKFLOWS = 1_000  # of the owner in a filter, passed to a query as ids; more of them are joined
SHARED_VIEWS = 50
FOUND_ROWS = 5  # of each kind, by the search for everything
NODE_NAMES = 100  # that a part of a name is replaced by
NODE_NAME_PART = 3  # characters of a part that more names than these have
OFFERED_NODE_NAMES = 20  # while one is typed

# Runs of a bulk action
BULK_RUNS = 20_000
BULK_SAMPLE = 10  # shown before it is confirmed
BULK_RESULTS = 100  # runs on a page of the results

# Rows of the page of a run
NODES = 1_000
NODES_PER_PAGE = 100
FAILED_NODES = 20
ATTEMPTS = 100
DRAWN_ATTEMPTS = 2_000  # in the timeline
LINES = 100
HISTORY_ENTRIES = 100
NOTE_VERSIONS = 500  # of all notes of a run
CHILDREN = 20
COMPARED_NODES = 10_000  # of each of two runs
COUNTED_ROWS = 1_000  # of each kind, before a deletion

# Rows of the log page
LOG_PAGE_LINES = 100  # also the lines between two marks of the index
LOG_PAGE_MATCHES = 25
INDEXED_LINES = 200_000  # `is_more` says that the view has more
INDEXED_MATCHES = 10_000

# Rows of the front page and of the page of a workflow
FRONT_PAGE_ROWS = 10  # of each section
COUNTED_RUNS = 1_000
COUNTED_GROUPS = 1_000  # of errors, muted ones
RUNS_AHEAD = 100  # `?expand=ahead`
RUNS_BEHIND = 1_000  # counted behind a queued run that nobody starts
COUNTED_RETENTION = 20_000  # runs that the next upkeep removes
SLOW_WORKFLOWS = 200  # the busiest ones; is_slow() ignores the others
RECENT_RUNS = 200
RECENT_NODE_EXECUTIONS = 20_000  # counted in them, approximately
GRID_NODE_EXECUTIONS = 20_000
DESCRIBED_CHANGES = 20  # newest ones; older ones are only counted

# Groups of errors
FINGERPRINTS = 1_000  # of one workflow; further failures share one
ERROR_DAYS = 30  # drawn on the page of a group
ERROR_RUNS = 20  # newest occurrences there
ERROR_PLACES = 50  # workflows, nodes and fingerprints there
MERGED_GROUPS = 100  # groups that are merged, or fingerprints that are split off, at once
ERROR_GROUP_ROWS = 10_000  # failures of a group whose runs are looked up one by one; those of a larger one in order
