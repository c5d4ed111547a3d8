"""Converters: from a document to facts. No database."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from executions.imports import argo, dbt, dbt_log, wfformat
from executions.imports.conversion import NotImportable

from . import documents
from .documents import (
    DBT_MANIFEST,
    SHARED,
    argo_workflow,
    dbt_event,
    dbt_node_event,
    dbt_results,
    needs_shared_data,
    recorded_files,
    wfformat_14,
    wfformat_15,
)


def by_kind(facts: list[dict[str, Any]]) -> Counter[str]:
    return Counter(fact["kind"] for fact in facts)


def edges(facts: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(edge["source_node"], edge["target_node"]) for edge in facts[0]["workflow"]["edges"]}


def test_dbt() -> None:
    facts = list(dbt.facts(dbt_results(), DBT_MANIFEST))
    assert by_kind(facts)["node.fail"] == by_kind(facts)["node.skip"] == by_kind(facts)["node.complete"] == 1
    assert edges(facts) == {
        ("source.shop.raw.orders", "model.shop.orders"),
        ("model.shop.orders", "model.shop.totals"),
        ("model.shop.totals", "model.shop.report"),
    }
    assert facts[-1]["error_message"] == "1 of 3 nodes failed."
    assert (facts[2]["at"], facts[-1]["at"]) == ("2026-01-05T06:00:00Z", "2026-01-05T06:00:09Z")


def test_dbt_without_a_manifest_has_nodes_and_no_edges() -> None:
    facts = list(dbt.facts(dbt_results()))
    assert len(facts[0]["workflow"]["nodes"]) == 3
    assert edges(facts) == set()
    assert facts[0]["workflow"]["name"] == "shop"


def test_dbt_without_a_manifest_keeps_the_edges_of_an_earlier_import() -> None:
    assert next(dbt.facts(dbt_results()))["workflow"]["only_add"] is True
    assert next(dbt.facts(dbt_results(), DBT_MANIFEST))["workflow"]["only_add"] is False


def test_log_of_dbt() -> None:
    facts = list(dbt_log.facts(documents.dbt_log(), DBT_MANIFEST))
    kinds = by_kind(facts)
    assert kinds["node.fail"] == kinds["node.skip"] == kinds["node.complete"] == 1
    assert kinds["node.start"] == 2  # the skipped node has not started
    assert facts[-1]["error_message"] == "1 of 3 nodes failed."
    assert facts[1]["metadata"]["dbt_version"] == "1.10.1"
    assert facts[1]["input_data"] == {"args": {"which": "build"}}
    assert (facts[2]["at"], facts[-1]["at"]) == ("2026-01-06T06:00:00Z", "2026-01-06T06:00:09Z")


def test_lines_of_a_log_of_dbt_belong_to_their_nodes_and_empty_messages_are_no_lines() -> None:
    facts = list(dbt_log.facts(documents.dbt_log(), DBT_MANIFEST))
    lines = [fact for fact in facts if fact["kind"] == "log"]
    nodes = {fact["id"]: fact["node"] for fact in facts if fact["kind"] == "node.create"}
    assert [(nodes.get(each["node_execution"], ""), each["level"], each["message"]) for each in lines][2:] == [
        ("model.shop.orders", "debug", "NodeStart orders"),
        ("model.shop.orders", "debug", "NodeFinished orders"),
        ("model.shop.totals", "debug", "NodeStart totals"),
        ("model.shop.totals", "debug", "NodeFinished totals"),
        ("model.shop.report", "debug", "NodeFinished report"),
        ("", "error", "  Division by zero"),
        ("", "debug", "Command `dbt build` failed"),
    ]


def test_a_log_of_dbt_may_hold_several_invocations() -> None:
    second = documents.dbt_log()
    for event in second:
        event["info"] |= {"invocation_id": "0c1d2e3f-0000-4000-8000-000000000003"}
    kinds = by_kind(list(dbt_log.facts([*documents.dbt_log(), *second], DBT_MANIFEST)))
    assert (kinds["execution.create"], kinds["execution.fail"], kinds["node.create"]) == (2, 2, 6)


def test_an_invocation_of_dbt_without_an_end_stays_running() -> None:
    facts = list(dbt_log.facts(documents.dbt_log()[:6]))
    assert by_kind(facts)["node.start"] == 2
    assert by_kind(facts)["node.complete"] == 1
    assert facts[-1]["kind"] == "log"


def test_a_node_that_dbt_left_at_its_end_is_cancelled() -> None:
    events = [*documents.dbt_log()[:4], dbt_event("CommandCompleted", 9, "Command `dbt build` failed", success=False)]
    *_, cancel, end = dbt_log.facts(events)
    assert (cancel["kind"], cancel["reason"]) == ("node.cancel", dbt_log.NO_END)
    assert (end["kind"], end["error_message"]) == ("execution.fail", "Command `dbt build` failed")


def test_a_model_of_dbt_in_batches_starts_with_the_first_and_ends_with_the_last() -> None:
    def batch(second: float) -> list[dict[str, Any]]:
        result = {"status": "success", "message": "INSERT"}
        names = ("NodeStart", None), ("NodeFinished", result)
        return [dbt_node_event(name, second + n, "orders", given) for n, (name, given) in enumerate(names)]

    facts = list(dbt_log.facts([*batch(1), *batch(5)]))
    assert {each["kind"]: each["at"][-4:] for each in facts if each["kind"].startswith("node.")} == {
        "node.create": ":01Z", "node.start": ":01Z", "node.complete": ":06Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda event: event["info"].update(ts="yesterday"), r"event 5: info\.ts: expected a time"),
        (lambda event: event["info"].pop("name"), r"event 5: info\.name: expected a text"),
        (lambda event: event.update(data=[]), "event 5: data: expected an object"),
        (lambda event: event["data"].pop("run_result"), r"event 5: data\.run_result\.status: expected one of"),
        (
            lambda event: event["data"]["run_result"].update(message=7),
            r"event 5: data\.run_result\.message: expected a te",
        ),
        (lambda event: event["data"]["node_info"].update(node_finished_at="7"), r"event 5: data\.node_info\.node_fin"),
    ],
)
def test_a_bad_event_of_dbt_is_refused_with_its_place(change: Any, sentence: str) -> None:
    events = documents.dbt_log()
    change(events[4])
    with pytest.raises(NotImportable, match=sentence):
        list(dbt_log.facts(events))


def test_argo() -> None:
    facts = list(argo.facts(argo_workflow()))
    assert edges(facts) == {("[0].load", "[1].train"), ("[0].load", "[1].skipped")}
    assert facts[0]["workflow"]["name"] == "nightly"
    [train] = {fact["id"] for fact in facts if fact.get("node") == "[1].train"}
    acts = [fact["kind"] for fact in facts if fact.get("id") == train]
    assert acts == ["node.create", "node.start", "node.fail", "node.retry", "node.start", "node.complete"]


def test_argo_believes_the_end_of_the_run_more_than_a_node_under_way() -> None:
    document = argo_workflow()
    document["status"]["nodes"]["load"] |= {"phase": "Running", "finishedAt": None}
    facts = list(argo.facts(document))
    assert by_kind(facts)["node.cancel"] == 1
    assert facts[-1]["kind"] == "execution.complete"


def test_both_schemas_of_wfformat_give_the_same_graph() -> None:
    older, newer = list(wfformat.facts(wfformat_14())), list(wfformat.facts(wfformat_15()))
    assert edges(older) == edges(newer) == {("split", "left"), ("split", "right")}
    assert older[0]["workflow"]["name"] == newer[0]["workflow"]["name"]
    assert older[1]["id"] == newer[1]["id"]
    assert (newer[1]["at"], newer[-1]["at"]) == ("2021-03-23T06:04:36Z", "2021-03-23T06:05:36Z")


def test_wfformat_lets_a_task_begin_when_its_parents_have_ended() -> None:
    facts = list(wfformat.facts(wfformat_15()))
    ends = [fact["at"] for fact in facts if fact["kind"] == "node.complete"]
    assert sorted(ends) == ["2021-03-23T06:04:38.500000Z", "2021-03-23T06:04:38.500000Z", "2021-03-23T06:04:48.500000Z"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["workflow"]["specification"]["tasks"][0]["parents"].append("left"), "cycle"),
        (lambda d: d["workflow"]["specification"]["tasks"][1]["parents"].append("nobody"), "'nobody'"),
        (lambda d: d["workflow"]["specification"]["tasks"][1]["children"].append("nobody"), "'nobody'"),
        (lambda d: d["workflow"]["specification"]["tasks"].append({"id": "left", "name": "l"}), "two of them"),
        (lambda d: d["workflow"]["execution"].update(executedAt="yesterday"), "workflow.execution.executedAt"),
        (lambda d: d["workflow"]["execution"].pop("makespanInSeconds"), "workflow.execution.makespanInSeconds"),
        (lambda d: d["workflow"]["execution"]["tasks"][0].update(runtimeInSeconds=-1), "runtimeInSeconds"),
        (lambda d: d["workflow"]["execution"]["tasks"].pop(0), "'split'"),
    ],
)
def test_a_bad_instance_is_refused_with_its_place(change: Any, sentence: str) -> None:
    document = wfformat_15()
    change(document)
    with pytest.raises(NotImportable, match=sentence):
        list(wfformat.facts(document))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"metadata": {"invocation_id": "x"}}, "metadata.generated_at"),
        ({"results": [{"status": "pass"}]}, r"results\[0\].unique_id"),
        ({"results": [{"unique_id": "model.a.b", "status": "weird"}]}, r"results\[0\].status"),
        ({"results": {}}, "results: expected a list"),
    ],
)
def test_bad_results_of_dbt_are_refused_with_their_place(fields: Any, sentence: str) -> None:
    with pytest.raises(NotImportable, match=sentence):
        list(dbt.facts(dbt_results(**fields)))


def test_argo_needs_a_time() -> None:
    document = argo_workflow(startedAt=None, nodes={})
    del document["metadata"]["creationTimestamp"]
    with pytest.raises(NotImportable, match=r"status\.startedAt"):
        list(argo.facts(document))


@needs_shared_data
@pytest.mark.parametrize("path", recorded_files("wfinstances/*/*.json"))
def test_recorded_instances(path: Path) -> None:
    document = json.loads(path.read_text())
    facts = list(wfformat.facts(document))
    tasks = document["workflow"]["specification"]["tasks"]
    assert len(facts[0]["workflow"]["nodes"]) == len(tasks) == by_kind(facts)["node.complete"]
    assert edges(facts) == {(parent, task["id"]) for task in tasks for parent in task["parents"]}


@needs_shared_data
@pytest.mark.parametrize("path", recorded_files("dbt-artifacts/*"))
def test_recorded_results_of_dbt(path: Path) -> None:
    results, manifest = (json.loads((path / name).read_text()) for name in ("run_results.json", "manifest.json"))
    facts = list(dbt.facts(results, manifest))
    assert len(facts[0]["workflow"]["nodes"]) == len(manifest["nodes"]) + len(manifest["sources"])
    statuses = Counter(dbt.ACTS[result["status"]] for result in results["results"])
    assert {act: by_kind(facts)[f"node.{act}"] for act in statuses} == statuses


# The table of SOURCES.md.
RECORDED_LOGS = {
    "duckdb-singular_test": ({"complete": 2}, 122, {"debug": 88, "info": 16}),
    "postgres-failed_run": ({"fail": 1}, 28, {"debug": 69, "info": 14, "error": 2}),
    "postgres-successful_run": ({"complete": 5}, 28, {"debug": 197, "info": 22}),
    "postgres-test": ({"fail": 1, "complete": 3}, 30, {"debug": 118, "info": 23, "warning": 1, "error": 3}),
    "snowflake-seed": ({"complete": 1}, 28, {"debug": 47, "info": 15, "warning": 1}),
    "snowflake-snapshot": ({"complete": 1}, 29, {"debug": 71, "info": 15, "warning": 1}),
}


@needs_shared_data
@pytest.mark.parametrize("path", recorded_files("dbt-runs/*"))
def test_recorded_logs_of_dbt(path: Path) -> None:
    events = [json.loads(text) for text in (path / "logs.jsonl").read_text().splitlines()]
    facts = list(dbt_log.facts(events, json.loads((path / "manifest.json").read_text())))
    acts, nodes, levels = RECORDED_LOGS[path.name]
    assert {act: by_kind(facts)[f"node.{act}"] for act in ("complete", "fail", "skip", "cancel")} == {
        "complete": 0, "fail": 0, "skip": 0, "cancel": 0, **acts,
    }  # fmt: skip
    assert len(facts[0]["workflow"]["nodes"]) == nodes
    assert facts[-1]["kind"] == ("execution.fail" if "fail" in acts else "execution.complete")
    empty = Counter(dbt_log.LEVELS[each["info"]["level"]] for each in events if not each["info"]["msg"].strip())
    assert Counter(fact["level"] for fact in facts if fact["kind"] == "log") + empty == levels


@needs_shared_data
def test_recorded_workflows_of_argo() -> None:
    phases: Counter[str] = Counter()
    acts: Counter[str] = Counter()
    for path in SHARED.glob("argo/*.json"):
        document = json.loads(path.read_text())
        found = [n for n in document["status"].get("nodes", {}).values() if n.get("type") not in argo.CONTAINERS]
        has_attempts = [n for n in found if n.get("type") == "Retry"]
        phases.update(argo.ACTS.get(n.get("phase"), "") for n in found if n not in has_attempts)
        acts.update(fact["kind"] for fact in argo.facts(document))
    assert acts["node.complete"] == phases["complete"]
    assert acts["node.skip"] == phases["skip"]
    assert acts["node.fail"] >= phases["fail"] - 2  # attempts that are containers of others
    assert acts["execution.create"] == len(list(SHARED.glob("argo/*.json")))
