"""`python -m browser.log_writer ADDRESS TOKEN NAME`: an engine in a process of its own, which knows only the API.

It makes a workflow NAME of two nodes, Load and Rank, and a run of it, then does what each line on stdin says: `start`,
`complete` or `fail` with `run` or a node, or `log` or
`error` with a text. Each answer is a line of JSON: the status, the body.
"""

import json
import sys
import urllib.error
import urllib.request
from typing import Any

LEVELS = {"log": "info", "error": "error"}
FAILED = {"error_message": "line 409 is cut off", "error_traceback": 'File "load.py", line 12, in rows'}


class Feeder:
    def __init__(self, address: str, token: str, name: str) -> None:
        self.api, self.token = f"{address}/api/v1", token
        nodes = [{"name": "Load", "node_type": "adapter"}, {"name": "Rank", "node_type": "aggregator"}]
        edges = [{"source_node": "Load", "target_node": "Rank"}]
        workflow = self.post("workflows/", {"name": name, "nodes": nodes, "edges": edges})[1]
        self.run = self.post("executions/", {"workflow": workflow["id"], "trigger_type": "event"})[1]["id"]
        self.nodes = {
            each: self.post(f"executions/{self.run}/nodes/", {"node": each})[1]["id"] for each in ("Load", "Rank")
        }

    def do(self, verb: str, what: str) -> tuple[int, Any]:
        if verb in LEVELS:
            line = {"level": LEVELS[verb], "message": what, "node_execution": self.nodes["Load"]}
            return self.post(f"executions/{self.run}/logs/", line)
        row = f"executions/{self.run}" if what == "run" else f"node-executions/{self.nodes[what]}"
        body = FAILED if verb == "fail" else {}
        if what == "run":  # which takes no traceback
            body = {name: value for name, value in body.items() if name != "error_traceback"}
        return self.post(f"{row}/{verb}/", body)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.api}/{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.load(refusal)


def say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    feeder = Feeder(*sys.argv[1:])
    say(feeder.nodes | {"run": feeder.run})
    for order in sys.stdin:
        say(feeder.do(*order.strip().split(" ", 1)))  # type: ignore[arg-type]  # an order is a word and its rest
