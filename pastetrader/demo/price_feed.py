"""The price feed of the demo: a vendor that delivers one ticker at a time, as bytes, sometimes truncated."""

import csv
from collections import defaultdict
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

PRICES = Path(__file__).with_name("prices.csv")
HEADER = "date,adj_close\n"

# The first delivery of this ticker is truncated, so that the demo shows a failed attempt.
BROKEN_OFF = "IBM"


class Price(NamedTuple):
    day: date
    close: float


class MalformedRowError(ValueError):
    """A line of a delivery is not a price."""


@cache
def _rows() -> dict[str, list[str]]:
    rows = defaultdict(list)
    with PRICES.open(newline="") as file:
        for row in csv.DictReader(file):
            rows[row["ticker"]].append(f"{row['date']},{row['adj_close']}\n")
    return dict(rows)


def days(ticker: str, until: date) -> list[date]:
    """Return the days up to `until` in the vendor's catalogue. Raises LookupError for an unknown ticker."""
    if ticker not in _rows():
        raise LookupError(f"The feed has no prices of {ticker}; it has {', '.join(sorted(_rows()))}.")
    listed = (date.fromisoformat(row.partition(",")[0]) for row in _rows()[ticker])
    return [day for day in listed if day <= until]


def deliver(ticker: str, delivery: int) -> bytes:
    """Return all prices of a ticker, oldest first. `delivery` is the number of the attempt, from 1."""
    body = "".join([HEADER, *_rows()[ticker]]).encode()
    if ticker == BROKEN_OFF and delivery == 1:
        return body[: len(body) * 3 // 4]
    return body


def parse(body: bytes) -> list[Price]:
    """Parse a delivery. Raises MalformedRowError, which names the line."""
    lines = body.decode().splitlines(keepends=True)
    return [_price(number, line) for number, line in enumerate(lines, start=1) if line != HEADER]


def _price(number: int, line: str) -> Price:
    try:
        day, close = line.split(",")
        # A row that was cut inside its price would still be a number, but a wrong one.
        if not line.endswith("\n"):
            raise ValueError("the line has no end")
        return Price(date.fromisoformat(day), float(close))
    except ValueError as error:
        raise MalformedRowError(f"Line {number} is not a price row (date,adj_close): {line!r}") from error
