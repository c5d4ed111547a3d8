"""A running run with a fan-out of equal nodes, reported through the API."""

from functools import cache

from fuzz.server import Server


@cache
def make(site: Server, number: int) -> str:
    """Return the id of a run of a start and of that many nodes after it: `load_1`, `load_2`, ...

    It is made once: a server keeps it for the tests that only look at it.
    """
    names = [f"load_{place}" for place in range(1, number + 1)]
    nodes = [{"name": name, "node_type": "tool"} for name in ("start", *names)]
    edges = [{"source_node": "start", "target_node": name} for name in names]
    definition = {"name": f"A fan-out of {number} nodes", "nodes": nodes, "edges": edges}
    workflow = _create(site, "workflows/", definition)
    run = _create(site, "executions/", {"workflow": workflow, "trigger_type": "event", "start": True})
    for name in ("start", *names):
        _create(site, f"executions/{run}/nodes/", {"node": name})
    return run


def _create(site: Server, path: str, body: object) -> str:
    status, created, _headers = site.call("POST", path, body, {})
    assert status == 201, created
    return str(created["id"])
