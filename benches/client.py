"""Measure what a call of the reporter costs a thread of the engine, while the reporter's own thread sends.

`python -m benches.client [--lines 20000]` needs no database: a process beside it answers the calls. Lines come at up to
`--rate` a second, as a busy engine makes them; without a pause, the sending thread takes turns with the engine at every
call, and the figures are those of a loop that does nothing but log.
"""

import argparse
import multiprocessing
import multiprocessing.connection
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pastetrader_client import Client

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


def measure(client: Client, lines: int, rate: int) -> None:
    show("(a sum of 40 squares, for comparison)", microseconds(of_the_machine, lines, rate))
    with client.run(workflow="bench") as run, run.node("node") as node:
        show("node.info(message)", microseconds(lambda _n: node.info("loaded 500 rows of AAPL"), lines, rate))
        show("node.info(message, *args)", microseconds(lambda n: node.info("loaded %d of %s", n, "AAPL"), lines, rate))
        show("node.info(message, rows=, file=)", microseconds(lambda n: node.info("x", rows=n, file="a"), lines, rate))
    runs = [client.run(workflow="bench", input={"day": "2026-11-28"}) for _ in range(500)]
    show("beginning of a run", microseconds(lambda n: runs[n].start(), 500, rate))
    nodes = [run.node("node") for run in runs]
    show("beginning of a node", microseconds(lambda n: nodes[n].start(), 500, rate))
    show("end of a node", microseconds(lambda n: nodes[n].complete({"rows": n}), 500, rate))
    show("end of a run, which wakes the thread", microseconds(lambda n: runs[n].complete(), 500, rate))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=0, help="calls a second; 0 is without a pause")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=answer, args=(theirs,), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as spool:
        client = Client(f"http://127.0.0.1:{ours.recv()}", "token", spool=spool, max_memory=1_000_000_000)
        sys.stdout.write(f"microseconds of a call{'':<18} {'median':>8} {'p99':>8} {'max':>9}   (goal: {GOAL})\n")
        measure(client, options.lines, options.rate)
        client.close(60)
    server.terminate()


if __name__ == "__main__":
    main()
