"""Texts of the generated ledger: names, payloads, errors and log lines, drawn from pools for speed."""

import json
from itertools import accumulate
from random import Random
from typing import NamedTuple

from executions.ingest import Encoded
from executions.models import LogLevel
from workflows.models import NodeType

DESCRIPTION = "Made by manage.py seed_ledger."
WORKFLOWS = (
    "Momentum screen",
    "Mean reversion",
    "Pairs",
    "Earnings drift",
    "Rebalance",
    "Risk report",
    "Dividend capture",
)
NODES = ("Load", "Clean", "Score", "Agent", "Rank", "Check", "Hedge", "Order", "Report", "Notify")
TYPES = {"Load": NodeType.ADAPTER, "Agent": NodeType.AGENT, "Check": NodeType.CONDITION, "Rank": NodeType.AGGREGATOR}
PEOPLE = ("ada", "bora", "chen", "dana", "engine", "farid", "gita", "webhook")
TAGS = tuple(f"{kind}-{number}" for number in range(1, 9) for kind in ("desk", "strategy", "region", "batch", "prod"))
TAG_WEIGHTS = tuple(1 / (rank + 1) for rank in range(len(TAGS)))
SYMBOLS = ("AAPL", "AMZN", "GOOG", "IBM", "MSFT", "NVDA", "ORCL", "005930.KS", "000660.KS", "035420.KS")
FAULTS = (
    ("TimeoutError", "the quote service did not answer within {n} s"),
    ("ConnectionResetError", "[Errno 104] Connection reset by peer while reading page {n}"),
    ("ValueError", "line {n} is cut off: expected 7 columns, found 4"),
    ("KeyError", "'close_{n}'"),
    ("RateLimited", "429 Too Many Requests: retry after {n} s"),
    ("InsufficientData", "only {n} of 252 days have prices"),
)
MESSAGES = {
    LogLevel.DEBUG: ("cache hit for {s}", "GET /v2/prices/{s}?page={n} 200", "window of {n} rows for {s}"),
    LogLevel.INFO: ("loaded {n} rows of {s}", "{s} scored {n}", "order for {n} {s} accepted", "체결 {n}주 {s}"),
    LogLevel.WARNING: ("{s}: {n} rows without a volume", "slow answer for {s}: {n} ms", "retrying {s}, try {n}"),
    LogLevel.ERROR: ("{s}: line {n} is cut off", "order for {n} {s} refused: limit exceeded"),
}
LEVELS = (LogLevel.INFO, LogLevel.DEBUG, LogLevel.WARNING, LogLevel.ERROR)
LEVEL_WEIGHTS = tuple(accumulate((84, 8, 6, 2)))  # percent
POOL = 2_000  # texts of each kind; rows share them


class Error(NamedTuple):
    message: str
    traceback: str


class Texts:
    def __init__(self, random: Random) -> None:
        self._errors = [_error(random) for _ in range(400)]
        self._inputs = [_json(_input(random)) for _ in range(POOL)]
        self._outputs = [_json(_output(random)) for _ in range(POOL)]
        self._data = [_json(_data(random)) for _ in range(POOL)]
        self._lines = {level: [_line(random, level) for _ in range(POOL)] for level in LEVELS}

    def error(self, random: Random) -> Error:
        return self._errors[int(random.random() * len(self._errors))]

    def input(self, random: Random) -> Encoded:
        return self._inputs[int(random.random() * POOL)]

    def output(self, random: Random) -> Encoded:
        return self._outputs[int(random.random() * POOL)]

    def symbols(self, random: Random) -> list[str]:
        return random.sample(SYMBOLS, 3)

    def levels(self, random: Random, count: int) -> list[LogLevel]:
        return random.choices(LEVELS, cum_weights=LEVEL_WEIGHTS, k=count)

    def line(self, random: Random, level: LogLevel) -> tuple[str, Encoded | None]:
        """Return a message and its data; every seventh line has data."""
        message = self._lines[level][int(random.random() * POOL)]
        data = int(random.random() * POOL * 7)
        return message, self._data[data] if data < POOL else None


def _json(value: object) -> Encoded:
    return Encoded(json.dumps(value))


def _input(random: Random) -> dict[str, object]:
    return {
        "symbols": random.sample(SYMBOLS, random.randrange(1, 5)),
        "window": random.choice((21, 63, 252)),
        "dry": False,
    }


def _output(random: Random) -> dict[str, object]:
    """Return an output of mostly some hundred, sometimes some thousand bytes."""
    rows = min(150, int(random.lognormvariate(1.2, 1)))
    ranking = [{"ticker": random.choice(SYMBOLS), "score": round(random.gauss(0, 1), 6)} for _ in range(rows)]
    return {"rows": random.randrange(10_000), "ranking": ranking}


def _data(random: Random) -> dict[str, object]:
    return {"symbol": random.choice(SYMBOLS), "milliseconds": random.randrange(3_000), "try": random.randrange(1, 4)}


def _line(random: Random, level: LogLevel) -> str:
    return random.choice(MESSAGES[level]).format(n=random.randrange(1, 5_000), s=random.choice(SYMBOLS))


def _error(random: Random) -> Error:
    kind, text = random.choice(FAULTS)
    message = f"{kind}: {text.format(n=random.randrange(1, 500))}"
    frames = "".join(
        f'  File "/srv/engine/nodes/{random.choice(NODES).lower()}.py", line {random.randrange(10, 400)}, in run\n'
        f"    return self.{random.choice(NODES).lower()}(rows, window={random.randrange(300)})\n"
        for _ in range(random.randrange(3, 14))
    )
    return Error(message, f"Traceback (most recent call last):\n{frames}{message}\n")
