"""Measure what a call of the reporter costs a thread of the engine, while the reporter's own thread sends.

`python -m benches.client [--lines 20000]` needs no database: a process beside it answers the calls. Calls come at up to
`--rate` a second, as a busy engine makes them; without a pause, the figures are those of a loop that does nothing but
report. On a machine with other work, `chrt -f 50` before it keeps that out of the figures.
"""

import argparse
import logging
import multiprocessing
import multiprocessing.connection
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pastetrader_client import Client, Node, Run

ANSWER = b'{"applied":0,"known":0,"refused":0,"refusals":[],"notices":[]}'
GOAL = 20  # microseconds at the median


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


def answer(pipe: multiprocessing.connection.Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_address[1])
    server.serve_forever()


def microseconds(call: Callable[[int], object], times: int, rate: int) -> list[float]:
    """Return how long each call took."""
    found = []
    for number in range(times):
        began = time.perf_counter_ns()
        call(number)
        found.append((time.perf_counter_ns() - began) / 1000)
        if rate:
            time.sleep(1 / rate)
    return found


def show(name: str, found: list[float]) -> None:
    p99 = statistics.quantiles(found, n=100)[98]
    sys.stdout.write(f"{name:<40} {statistics.median(found):>8.1f} {p99:>8.1f} {max(found):>9.0f}\n")
    sys.stdout.flush()


def of_the_machine(_number: int) -> int:
    """Do what takes some microseconds of Python: with pauses, caches have grown cold by the next call, of this too."""
    return sum(number * number for number in range(40))


def measure(client: Client, lines: int, runs: int, rate: int) -> None:
    def one_by_one(name: str, call: Callable[[int], object], times: int = runs) -> None:
        show(name, microseconds(call, times, rate))

    one_by_one("(a sum of 40 squares, for comparison)", of_the_machine, lines)
    with client.run(workflow="bench") as run, run.node("node") as node:
        one_by_one("node.info(message)", lambda _n: node.info("loaded 500 rows of AAPL"), lines)
        one_by_one("node.info(message, *args)", lambda n: node.info("loaded %d of %s", n, "AAPL"), lines)
        one_by_one("node.info(message, rows=, file=)", lambda n: node.info("x", rows=n, file="a"), lines)
        one_by_one("node.info(message, rows=[...])", lambda n: node.info("x", rows=[n, n]), lines)
        one_by_one("run.info(message)", lambda _n: run.info("loaded 500 rows of AAPL"), lines)
        handler, record = (
            run.handler(),
            logging.makeLogRecord({"name": "engine", "msg": "loaded 500 rows of AAPL", "levelno": 20}),
        )
        one_by_one("run.handler().handle(record)", lambda _n: handler.handle(record), lines)
    made: list[Run] = []
    nodes: list[Node] = []
    one_by_one("client.run(name, input=, graph=)", lambda n: made.append(begin(client, n)))
    one_by_one("entering a run", lambda n: made[n].__enter__())
    one_by_one("run.node(name, input=)", lambda n: nodes.append(made[n].node("load", input={"day": n})))
    one_by_one("entering a node", lambda n: nodes[n].__enter__())
    one_by_one("node.fail(error)", lambda n: nodes[n].fail(ERROR))
    one_by_one("entering a failed node", lambda n: nodes[n].__enter__())
    one_by_one("leaving a node with an output", lambda n: leave(nodes[n], {"rows": n}))
    one_by_one("node.skip()", lambda n: made[n].node("rank").skip())
    one_by_one("leaving a run with an output", lambda n: leave(made[n], {"of": {"rows": n, "first": ["GOOG"]}}))


def begin(client: Client, number: int) -> Run:
    return client.run(workflow="bench", input={"day": "2026-11-28", "number": number}, graph=["load", "rank"])


def leave(reporter: Run | Node, output: dict[str, object]) -> None:
    reporter.output = output
    reporter.__exit__(None, None, None)


def raise_in_depth(levels: int) -> None:
    if levels:
        raise_in_depth(levels - 1)
    raise LookupError("line 409 is cut off")


def error() -> Exception:
    try:
        raise_in_depth(8)
    except LookupError as found:
        return found
    raise AssertionError


ERROR = error()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--rate", type=int, default=0, help="calls a second; 0 is without a pause")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=answer, args=(theirs,), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as spool:
        client = Client(f"http://127.0.0.1:{ours.recv()}", "token", spool=spool, max_memory=1_000_000_000)
        sys.stdout.write(f"microseconds of a call{'':<18} {'median':>8} {'p99':>8} {'max':>9}   (goal: {GOAL})\n")
        measure(client, options.lines, options.runs, options.rate)
        client.close(60)
    server.terminate()


if __name__ == "__main__":
    main()
