"""Counters of the ledger for Prometheus: a new one is a line here, and one where it counts. Labels have few values.

With PROMETHEUS_MULTIPROC_DIR in the environment, which `manage.py serve` sets, its processes count together.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import Counter, Histogram

REFUSALS = Counter("pastetrader_refusals_total", "Refused requests and facts, by code of the problem.", ["code"])
TRANSITIONS = Counter(
    "pastetrader_transitions_total", "Changes of the status of runs and nodes, by verb or fact.", ["row", "to"]
)
OVERDUE = Counter("pastetrader_overdue_total", "Runs and nodes that upkeep ended, by code.", ["row", "code"])
FACTS = Counter("pastetrader_facts_total", "Facts of POST events/, by outcome.", ["outcome"])
BATCH_FACTS = Histogram(
    "pastetrader_event_batch_facts", "Facts in a call of POST events/.", buckets=(1, 10, 100, 1_000, 10_000)
)


def count_batch(numbers: Mapping[str, int], codes: Iterable[str]) -> None:
    """Count the facts of a call by outcome, and those that were refused by code."""
    BATCH_FACTS.observe(sum(numbers.values()))
    for outcome, number in numbers.items():
        FACTS.labels(outcome).inc(number)
    for code in codes:
        REFUSALS.labels(code).inc()
