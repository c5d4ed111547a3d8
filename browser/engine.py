"""An engine that uses only the API: it creates a workflow of two nodes and a run, and reports their progress."""

from typing import Any

from fuzz.server import Server

LEVELS = {"log": "info", "error": "error"}
FAILURE = {"error_message": "line 409 is cut off"}
TRACEBACK = {"error_traceback": 'File "load.py", line 12, in rows'}  # a node's; a run has none


class Engine:
    """`ids` are those of the run and of its two nodes, Load and Rank."""

    def __init__(self, site: Server, name: str) -> None:
        self.site = site
        nodes = [{"name": "Load", "node_type": "adapter"}, {"name": "Rank", "node_type": "aggregator"}]
        edges = [{"source_node": "Load", "target_node": "Rank"}]
        workflow = self._create("workflows/", {"name": name, "nodes": nodes, "edges": edges})
        self.run = self._create("executions/", {"workflow": workflow, "trigger_type": "event"})
        self.nodes = {node: self._create(f"executions/{self.run}/nodes/", {"node": node}) for node in ("Load", "Rank")}
        self.ids = self.nodes | {"run": self.run}

    def __call__(self, verb: str, what: str) -> tuple[int, Any]:
        """Do `start`, `complete`, `fail` or `retry` with `run` or a node, or `log` or `error` with a text.

        Return the status and the body of the response.
        """
        if verb in LEVELS:
            line = {"level": LEVELS[verb], "message": what, "node_execution": self.nodes["Load"]}
            return self._post(f"executions/{self.run}/logs/", line)
        row = f"executions/{self.run}" if what == "run" else f"node-executions/{self.nodes[what]}"
        failure = FAILURE if what == "run" else FAILURE | TRACEBACK
        return self._post(f"{row}/{verb}/", failure if verb == "fail" else {})

    def _create(self, path: str, body: Any) -> str:
        status, created = self._post(path, body)
        assert status == 201, created
        return str(created["id"])

    def _post(self, path: str, body: Any) -> tuple[int, Any]:
        status, answer, _headers = self.site.call("POST", path, body, {})
        return status, answer
