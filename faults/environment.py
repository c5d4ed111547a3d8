"""Everything that is broken, made and removed together: a database, a server, clients and engines that never stop."""

import random
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from pastetrader.tests.live_server import ALL_SCOPES

from .calls import Calls, CutCalls
from .database import Database
from .engines import Engine
from .journal import Journal
from .lease_scenarios import LeaseScenario
from .queue_scenarios import Queue
from .run_scenarios import RunScenario, ScenarioClient
from .site import Site, free_port
from .webhooks import Failing, Receiver, watch

CLIENTS, SILENT, ENGINES = 2, 3, 2  # SILENT: clients of which each first worker falls silent
TRIED_AGAIN = {"max_retries": 1, "delay": 0}
MARGIN = 5  # seconds
START = 180.0  # seconds for the first start, which migrates


class Environment:
    def __init__(self, seed: int, scenarios: int, back_in: float) -> None:
        """Choose everything by the seed. Leases of engines have to last for the `back_in` seconds that the service may
        be away."""
        self.lease = int(back_in) + MARGIN
        self.seed, self.chance, self.scenarios = seed, random.Random(seed), scenarios
        self.home = Path(tempfile.mkdtemp(prefix="pastetrader-faults-")).resolve()
        self.home.chmod(0o711)  # the account of the database passes through
        self.database = Database(self.home)
        self.site = Site(self.home, self.database.address)
        self.journal = Journal()
        self.receiver = Receiver(self.home / "receiver", free_port())
        self.clients: list[ScenarioClient | Queue | Failing] = []
        self.engines: list[Engine] = []
        self.cuts = 0  # connections that were cut
        self.known: set[str] = set()  # violations
        self.struck = ""  # the id of the row that the last fault was about, if it was about one

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        self.database.make()
        self.site.start()
        self._wait_for_start()
        self.token = self.site.manage("create_token", _name_of_user(self.site), *ALL_SCOPES, "--name", "faults")
        self.workflow, self.leased = self.ensure("reported"), self.ensure("leased")
        self.failing = self._start_failures()
        self.queue = Queue(self.calls, self.journal, self.ensure("queued"), f"{self.seed} queue")
        self.clients += [self.add_client(f"client {number}", self.workflow) for number in range(CLIENTS)]
        self.clients += [self.add_client(f"silent {number}", self.leased, LeaseScenario) for number in range(SILENT)]
        self.clients += [self.failing, self.queue]
        self.engines = [self.engine(f"engine-{number}") for number in range(ENGINES)]

    def ensure(self, name: str) -> str:
        nodes = [{"name": "one", "node_type": "tool", "retry_config": TRIED_AGAIN}]
        return str(self.calls().act("workflows/ensure/", {"name": name, "nodes": nodes})["id"])

    def _start_failures(self) -> Failing:
        """Start the receiver, and the client whose failures are delivered to it."""
        self.receiver.start()
        workflow = self.ensure("failing")
        watch(self.calls(), workflow, self.receiver.address)
        failing = Failing(self.calls(), self.journal, workflow)
        failing.start()
        return failing

    def fault_of_messages(self) -> str | None:
        """Wait until the failures up to now are delivered to the receiver. Return what is wrong."""
        return self.receiver.fault(set(self.failing.runs))

    def settle(self) -> None:
        """Let all queued runs start and end, and no more runs fail."""
        self.queue.drain()
        self.failing.is_wanted = False
        self.failing.join()

    def __exit__(self, *_error: object) -> None:
        for each in (*self.engines, *self.clients):
            each.is_wanted = False
        for engine in self.engines:
            engine.stop()
        self.receiver.kill()
        self.site.stop()
        self.database.remove()
        shutil.rmtree(self.home)

    def calls(self, timeout: float = 20) -> Calls:
        return Calls(self.site.port, self.token, timeout)

    def cut_calls(self, seed: str) -> CutCalls:
        return CutCalls(self.site.port, self.token, random.Random(seed))

    def add_client(self, name: str, workflow: str, kind: type[RunScenario] = RunScenario) -> ScenarioClient:
        started = ScenarioClient(self.calls(), self.journal, workflow, f"{self.seed} {name}", kind=kind)
        started.start()
        return started

    def engine(self, name: str, clock: int = 0) -> Engine:
        spool = self.home / "spools"
        spool.mkdir(exist_ok=True)
        return Engine(name, self.address, self.token, spool, self.journal, lease=self.lease, clock=clock)

    def only_new(self, violations: list[str]) -> list[str]:
        """Return those that no earlier fault has led to."""
        found = [each for each in violations if each not in self.known]
        self.known.update(found)
        return found

    def take_errors(self) -> list[str]:
        """Return the answers that no client should have got, since the last call."""
        found = []
        for client in self.clients:
            while client.errors:  # one by one: the client's thread may add one meanwhile
                found.append(client.errors.pop(0))
        return found

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.site.port}"

    def is_ready(self) -> bool:
        """Return whether the probe for load balancers says that the server is ready."""
        try:
            with urllib.request.urlopen(f"{self.address}/readyz?exclude=upkeep", timeout=2):
                return True
        except (OSError, urllib.error.URLError):
            return False

    def _wait_for_start(self) -> None:
        until = time.monotonic() + START
        while not (self.is_ready() and "Ctrl-C" in self.site.log_since(0)):
            if time.monotonic() > until:
                raise RuntimeError(self.site.log_since(0))
            time.sleep(0.1)


def _name_of_user(site: Site) -> str:
    name: str = re.findall(r"Made the superuser (\S+),", site.log_since(0))[0]
    return name
