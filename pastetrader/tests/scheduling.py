"""Assign tests to the processes of a parallel run: those that share a server stay together and run first.

Not by the mark `xdist_group`: beside pytest 9.2 pytest-xdist 3.8 passes over it without a word (its issue 1386), and
two processes started a server and a browser each."""

from typing import Any

from xdist.scheduler import LoadScopeScheduling

# Of the start of a test's name. xdist begins with the unit of the most tests: nothing long is left for the end.
# The pages have a server and a browser of their own: one process would look at pages for longer than the others work.
LOOKS = ("header", "layout", "pages", "phone", "print", "run_tasks")
UNITS = {f"browser/test_{name}.py": "pages" for name in LOOKS} | {"browser/": "browser"}
UNITS |= {
    f"pastetrader/tests/test_{name}.py": "servers"
    for name in (
        "celery",
        "client",
        "cut_connections",
        "engines",
        "lineage_clients",
        "live_streams",
        "memory",
        "serve",
    )
}
OWN = {"embedded_server": "cluster", "faults": "faults", "deployment": "deployment", "replica": "replica"}
UNITS |= {f"pastetrader/tests/test_{name}.py": unit for name, unit in OWN.items()}

# Tests of real processes: servers, browsers, packaging. `make test-site` runs them, and collects nothing but these two
# folders; `make test` runs the others. Beside the modules named here, each test with a server's folder is one of them.
SITE = (
    "browser/",
    *(
        f"pastetrader/tests/test_{name}.py"
        for name in (
            "client", "cluster_folders", "command_errors", "commands", "connections", "deployment", "env", "faults",
            "serve", "setup", "slow_clients", "wheel",
        )
    ),
)  # fmt: skip
SERVERS_FOLDERS = {"prepared", "data_dir"}  # fixtures

# What pages show, and clients: `.ci/run` does not repeat these on the stock PostgreSQL, `make nightly` does. The
# statements are those of the API, of the verbs, and of the test that opens each page with each parameter.
ON_ONE_VERSION = (
    "executions/tests/admin/",
    "executions/tests/error_groups/test_admin.py",
    "pastetrader/tests/test_admin.py",
    "pastetrader/tests/test_time_zones.py",
    "pastetrader_client/tests/",
)
ON_EACH_VERSION = "executions/tests/admin/test_addresses.py"

# Single tests that begin before the others: at the end, the other processes would wait for them. The last two are those
# of more than five seconds that end the alphabet, of which xdist gives several to one process.
FIRST = tuple(
    f"pastetrader/tests/test_{name}.py"
    for name in (
        "lost_packets", "wheel", "upgrade", "killed_engine", "stopped_database", "heavy_requests", "soak", "body_limit",
        "stop", "upkeep_process", "workers",
    )
)  # fmt: skip


class GroupScheduling(LoadScopeScheduling):
    """A test that is in no unit is one by itself."""

    def _split_scope(self, nodeid: str) -> str:
        return next((unit for start, unit in UNITS.items() if nodeid.startswith(start)), nodeid)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Forget a unit that is done: after each test the units of its process are counted, done ones too."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]
