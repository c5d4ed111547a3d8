"""Small documents of other systems, made for these tests, and the folder of real ones."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

SHARED = Path(os.environ.get("SHARED_DATA") or Path(settings.BASE_DIR).parent / "shared" / "data")
needs_shared_data = pytest.mark.skipif(
    not (SHARED / "SOURCES.md").exists(), reason="the recorded runs of other systems are not on this machine"
)


def recorded_files(pattern: str) -> list[Any]:
    """Return the recorded files, as parameters with readable names."""
    return [pytest.param(path, id=str(path.relative_to(SHARED))) for path in sorted(SHARED.glob(pattern))]


def write(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
    return path


def dbt_results(**fields: Any) -> dict[str, Any]:
    timing = [{"name": "execute", "started_at": "2026-01-05T06:00:01Z", "completed_at": "2026-01-05T06:00:03Z"}]
    return {
        "metadata": {"generated_at": "2026-01-05T06:00:09Z", "invocation_id": "0c1d2e3f-0000-4000-8000-000000000001"},
        "elapsed_time": 9.0,
        "args": {"which": "build"},
        "results": [
            {"unique_id": "model.shop.orders", "status": "success", "timing": timing, "message": "SELECT 7"},
            {"unique_id": "model.shop.totals", "status": "error", "timing": [], "message": "Division by zero"},
            {"unique_id": "model.shop.report", "status": "skipped", "timing": [], "message": None},
        ],
        **fields,
    }


DBT_MANIFEST = {
    "metadata": {"project_name": "shop"},
    "nodes": {f"model.shop.{name}": {"resource_type": "model"} for name in ("orders", "totals", "report")},
    "sources": {"source.shop.raw.orders": {"resource_type": "source"}},
    "parent_map": {
        "model.shop.orders": ["source.shop.raw.orders"],
        "model.shop.totals": ["model.shop.orders"],
        "model.shop.report": ["model.shop.totals"],
        "exposure.shop.page": ["model.shop.report"],
    },
}


def dbt_event(name: str, second: float, message: str = "", level: str = "info", **data: Any) -> dict[str, Any]:
    """Return an event of dbt's log, in the first minute of the run."""
    info = {
        "name": name, "invocation_id": "0c1d2e3f-0000-4000-8000-000000000002", "level": level, "msg": message,
        "ts": f"2026-01-06T06:00:{second:09.6f}Z",
    }  # fmt: skip
    return {"info": info, "data": data}


def dbt_node_event(name: str, second: float, node: str, result: dict[str, Any] | None = None) -> dict[str, Any]:
    node_info = {"unique_id": f"model.shop.{node}", "node_started_at": f"2026-01-06T06:00:{second:09.6f}"}
    data: dict[str, Any] = {"node_info": node_info}
    if result is not None:
        data = {"node_info": {**node_info, "node_finished_at": node_info["node_started_at"]}, "run_result": result}
    return dbt_event(name, second, f"{name} {node}", "debug", **data)


def dbt_log() -> list[dict[str, Any]]:
    """Return the log of an invocation in which one node failed and another was skipped."""
    return [
        dbt_event("MainReportVersion", 0, "Running with dbt=1.10.1", version="=1.10.1"),
        dbt_event("MainReportArgs", 0.5, "running dbt with arguments", "debug", args={"which": "build"}),
        dbt_event("Formatting", 1),
        dbt_node_event("NodeStart", 2, "orders"),
        dbt_node_event("NodeFinished", 4, "orders", {"status": "success", "message": "SELECT 7", "num_failures": 0}),
        dbt_node_event("NodeStart", 5, "totals"),
        dbt_node_event("NodeFinished", 6, "totals", {"status": "error", "message": "Division by zero"}),
        dbt_node_event("NodeFinished", 7, "report", {"status": "skipped"}),
        dbt_event("RunResultError", 8, "  Division by zero", "error"),
        dbt_event("CommandCompleted", 9, "Command `dbt build` failed", "debug", success=False),
    ]


def argo_node(name: str, kind: str, phase: str, children: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    times = {"startedAt": "2026-02-01T01:00:05Z", "finishedAt": "2026-02-01T01:00:30Z"}
    return {"name": name, "type": kind, "phase": phase, "children": list(children), **times, **fields}


def argo_workflow(**status: Any) -> dict[str, Any]:
    """Return a run of `load`, then `train` (two attempts, in a step group) and `skipped`."""
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {
            "name": "nightly-x7", "generateName": "nightly-", "namespace": "research",
            "uid": "6d1b1d7e-0000-4000-8000-000000000002", "creationTimestamp": "2026-02-01T01:00:00Z",
        },
        "spec": {"arguments": {"parameters": [{"name": "day", "value": "1"}]}},
        "status": {
            "phase": "Succeeded", "startedAt": "2026-02-01T01:00:00Z", "finishedAt": "2026-02-01T01:02:00Z",
            "nodes": {
                "root": argo_node("nightly-x7", "Steps", "Succeeded", ("group",)),
                "group": argo_node("nightly-x7[0]", "StepGroup", "Succeeded", ("load",)),
                "load": argo_node("nightly-x7[0].load", "Pod", "Succeeded", ("group1", "absent")),
                "group1": argo_node("nightly-x7[1]", "StepGroup", "Succeeded", ("train", "skipped")),
                "train": argo_node("nightly-x7[1].train", "Retry", "Succeeded", ("try0", "try1")),
                "try0": argo_node("nightly-x7[1].train(0)", "Pod", "Failed", message="exit code 2"),
                "try1": argo_node("nightly-x7[1].train(1)", "Pod", "Succeeded", startedAt="2026-02-01T01:01:00Z"),
                "skipped": argo_node("nightly-x7[1].skipped", "Skipped", "Skipped"),
            },
            **status,
        },
    }  # fmt: skip


def wfformat_15(**fields: Any) -> dict[str, Any]:
    files = [{"id": "a.txt", "sizeInBytes": 12}]
    tasks = [
        {"id": "split", "name": "split", "parents": [], "children": ["left"], "outputFiles": ["a.txt"]},
        {"id": "left", "name": "left", "parents": ["split"], "children": [], "inputFiles": ["a.txt"]},
        {"id": "right", "name": "right", "parents": ["split"], "children": []},
    ]
    runs = [{"id": "split", "runtimeInSeconds": 2.5}, {"id": "left", "runtimeInSeconds": 0.0}]
    execution = {
        "makespanInSeconds": 60, "executedAt": "03-23-21T06:04:36Z",
        "tasks": [*runs, {"id": "right", "runtimeInSeconds": 10, "command": {"program": "r", "arguments": ["-x"]}}],
    }  # fmt: skip
    workflow = {"specification": {"tasks": tasks, "files": files}, "execution": execution}
    return {"name": "fan", "schemaVersion": "1.5", "workflow": workflow, **fields}


def wfformat_14() -> dict[str, Any]:
    """Return the same run in the older schema."""
    files = [{"name": "a.txt", "sizeInBytes": 12, "link": "output"}]
    tasks = [
        {"name": "split", "id": "ID1", "runtimeInSeconds": 2.5, "parents": [], "files": files},
        {"name": "left", "id": "ID2", "runtimeInSeconds": 0.0, "parents": ["split"]},
        {"name": "right", "id": "ID3", "runtimeInSeconds": 10, "parents": ["split"]},
    ]
    workflow = {"makespanInSeconds": 60, "executedAt": "20210323T060436+0000", "tasks": tasks}
    return {"name": "fan", "schemaVersion": "1.4", "wms": {"name": "Pegasus"}, "workflow": workflow}
