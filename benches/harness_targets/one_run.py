"""A run, read by its id: from bare Django views and from this ledger. The harness has no such workload: it reads the
run where the other targets list the ten nodes of one."""

import os
from typing import Any

from targets.ledger import LedgerReads
from targets.rest_api import DjangoApi, granian

NODES = 10  # which the harness expects as the answer


class BareRun(DjangoApi):
    name = "django-one-run"
    port = 18121

    @classmethod
    def start_server(cls) -> Any:
        """Serve the views as the target of the lists does, and one more."""
        return granian(
            "benches.harness_targets.bare_run_wsgi:app", cls.port, 2, 4, cls.name, f"{os.environ['PEERS']}/venvs/dj/bin"
        )

    def list_nodes(self, run: str) -> int:
        """Read the run instead."""
        self.call("GET", f"/runs/{run}")
        return NODES


class LedgerRun(LedgerReads):
    name = "ledger-one-run"

    def list_nodes(self, run: str) -> int:
        """Read the run instead."""
        self.call("GET", f"/executions/{run}/")
        return NODES
