"""Converters: from a document to facts. No database."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from executions.imports import argo, dbt, wfformat
from executions.imports.conversion import NotImportable

from .documents import (
    DBT_MANIFEST,
    SHARED,
    argo_workflow,
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
