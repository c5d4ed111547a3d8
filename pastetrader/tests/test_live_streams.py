"""Streams of a real server over real HTTP: whatever is cut, every line is sent once."""

import json
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from pastetrader.tests.conftest import postmaster
from pastetrader.tests.live_server import Site
from pastetrader.tests.stream_reader import Following

LINES, WRITERS, CUTS = 10_000, 4, 50


class Ledger:
    """The API of a server, and a run in it that is running."""

    def __init__(self, site: Site, token: str) -> None:
        self.address, self.token = f"{site.address}/api/v1/", token
        workflow = self.post("workflows/", {"name": "live"})
        new = {"workflow": workflow["id"], "trigger_type": "event", "start": True}
        self.run = self.post("executions/", new)["id"]

    def post(self, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def log(self, *messages: str) -> None:
        self.post(f"executions/{self.run}/logs/", [{"level": "info", "message": text} for text in messages])

    def follow(self, query: str = "") -> Following:
        return Following(f"{self.address}executions/{self.run}/stream/{query}", self.token)


@pytest.fixture
def ledger(site: Site, token: str) -> Ledger:
    """The last of the tests ends the server."""
    return Ledger(site, token)


def write(ledger: Ledger, writer: int) -> None:
    chance = random.Random(writer)
    numbers = iter(range(LINES // WRITERS))
    while batch := [f"{writer} {number}" for _, number in zip(range(chance.randint(1, 150)), numbers, strict=False)]:
        ledger.log(*batch)


def in_background(work: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments)
    thread.start()
    return thread


def test_a_connection_cut_at_50_random_moments_loses_no_line_and_doubles_none(ledger: Ledger) -> None:
    reader, chance = ledger.follow(), random.Random(50)
    writers = [in_background(write, ledger, number) for number in range(WRITERS)]

    def finish() -> None:
        for thread in writers:
            thread.join()
        ledger.post(f"executions/{ledger.run}/complete/", {})

    finishing = in_background(finish)
    cuts = 0
    while not reader.has_ended:
        is_cut = not reader.read(most=chance.expovariate(1 / 40_000) if cuts < CUTS else float("inf"))
        cuts += is_cut
    finishing.join()
    assert cuts == CUTS
    assert len(reader.lines) == len({line["id"] for line in reader.lines}) == LINES
    assert_in_order(reader)
    assert reader.events[-1].data["status"] == "completed"


def assert_in_order(reader: Following) -> None:
    """Check that each event is in the ledger's order, and the lines of each writer in the order of writing."""
    for event in reader.events:
        if event.kind == "logs":
            keys = [(line["timestamp"], line["id"]) for line in event.data]
            assert keys == sorted(keys)
    told = defaultdict(list)
    for message in reader.messages:
        writer, number = message.split()
        told[writer].append(int(number))
    assert all(numbers == list(range(LINES // WRITERS)) for numbers in told.values())


def test_a_stream_survives_a_crash_of_the_database(ledger: Ledger, site: Site) -> None:
    reader = ledger.follow()
    following = in_background(lambda: reader.read(until=lambda reader: "after" in reader.messages))
    ledger.log("before")
    wait_until(lambda: reader.messages == ["before"])
    server = postmaster(site.local / "postgres")
    assert server is not None
    server.send_signal(signal.SIGQUIT)
    server.wait(20)
    again(lambda: ledger.log("after"))
    following.join(30)
    assert reader.messages == ["before", "after"]


def test_streams_hold_no_connection_of_the_pool_and_end_with_the_server(ledger: Ledger, site: Site) -> None:
    readers = [ledger.follow() for _ in range(8)]
    following = [in_background(reader.read) for reader in readers]
    wait_until(lambda: all(reader.events for reader in readers))
    ledger.log("to all")
    wait_until(lambda: all(reader.messages == ["to all"] for reader in readers))
    code, err = site.interrupt(signal.SIGTERM)
    for thread in following:
        thread.join(10)
    assert (code, [thread.is_alive() for thread in following]) == (0, [False] * 8)
    assert "graceful shutdown exceeded" not in err  # which a stream that does not end by itself would cause
    assert "Traceback" not in err


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def again(work: Callable[[], None], tries: int = 20) -> None:
    """Repeat a write until it succeeds: while the database is away, it is 503."""
    for left in reversed(range(tries)):
        try:
            return work()
        except urllib.error.HTTPError:
            assert left
            time.sleep(0.3)
    return None
