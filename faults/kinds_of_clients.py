"""The faults of clients and of the network between them and the server."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from .calls import CutCalls
from .environment import Environment
from .fault_run import Kind
from .run_scenarios import ScenarioClient

HEAD = b"POST /api/v1/executions/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
WRONG_CLOCK = r"clock of a client of .+ is 3[56]\d\d seconds"
SLOW, IDLE = 50, 2_000
CUTTERS = 4


def cut(environment: Environment) -> str | None:
    """Run scenarios each of whose requests is cut. Each cut counts as a fault."""
    clients = [
        ScenarioClient(
            environment.cut_calls(f"{environment.chance.random()}"),
            environment.journal,
            environment.workflow,
            f"{environment.chance.random()}",
            environment.scenarios,
        )
        for _ in range(CUTTERS)
    ]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    environment.cuts += sum(sum(each.calls.cuts.values()) for each in clients if isinstance(each.calls, CutCalls))
    errors = [error for each in clients for error in each.errors]
    return "; ".join(errors) or None


@contextmanager
def connections(environment: Environment, number: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = []
        for _ in range(number):
            with suppress(OSError):
                line = stack.enter_context(socket.create_connection(("127.0.0.1", environment.site.port), timeout=5))
                line.sendall(sent)
                opened.append(line)
        yield opened


def send_slowly(environment: Environment) -> str | None:
    """Send a byte a second on many connections, until the server ends them."""
    with connections(environment, SLOW, HEAD[:20]) as lines:
        for byte in HEAD[20:27]:
            for line in lines:
                with suppress(OSError):
                    line.sendall(bytes([byte]))
            time.sleep(1)
        left = sum(_is_open(line) for line in lines)
    return f"{left} of {SLOW} connections are still open" if left else None


def _is_open(line: socket.socket) -> bool:
    line.settimeout(0.5)
    try:
        while line.recv(4096):
            pass
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def open_many(environment: Environment) -> None:
    """Open as many connections as the server takes from all clients, which is more than it takes from one."""
    with connections(environment, IDLE):
        time.sleep(1)


def clock_ahead(environment: Environment) -> str | None:
    return _with_clock(environment, 3600)


def clock_behind(environment: Environment) -> str | None:
    return _with_clock(environment, -3600)


def _with_clock(environment: Environment, seconds: int) -> str | None:
    """Let an engine report whose clock is an hour off: what it got an answer for is stored."""
    engine = environment.engine(f"clock{seconds:+d}-{environment.chance.randrange(10**9)}", seconds)
    until = time.monotonic() + 30
    while engine.delivered < 2 and time.monotonic() < until:
        time.sleep(0.1)
    engine.stop()
    return None if engine.delivered >= 2 else f"nothing was delivered: {engine.log.read_text()[-300:]}"


CLIENTS = [
    Kind("connection cut, in request or answer", cut, "connection broke, or a client closed it"),
    Kind("50 clients that send a byte a second", send_slowly, "took longer than"),
    Kind("2,000 connections", open_many, "connection was refused"),
    Kind("clock of an engine one hour ahead", clock_ahead, f"{WRONG_CLOCK} ahead"),
    Kind("clock of an engine one hour behind", clock_behind, f"{WRONG_CLOCK} behind"),
]
