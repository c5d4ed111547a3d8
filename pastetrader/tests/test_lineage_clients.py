"""Events as clients of OpenLineage send them: its Python package, and dbt, which only `make proofs` installs."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import error_message_run, parent_run
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport
from openlineage.client.uuid import generate_new_uuid

from local_postgres.socket_path import socket_dir
from pastetrader.tests.live_server import Site
from pastetrader.tests.prepared_folder import manage

PRODUCER = "https://example.org/nightly"
DBT_OL = os.environ.get("DBT_OL", "")
PROJECT = Path(__file__).parent / "dbt_shop"
FAILED = "model.shop.price_per_piece"
ERROR = "Database Error in model price_per_piece (models/price_per_piece.sql)\n  division by zero"


def run_of(site_api: httpx.Client, workflow: str) -> dict[str, Any]:
    """Return the one run of a workflow, with its nodes by name, its log and the names of its edges."""
    rows = site_api.get("/executions/", params={"page_size": 100}).raise_for_status().json()["results"]
    (row,) = [row for row in rows if row["workflow_name"] == workflow]
    run: dict[str, Any] = (
        site_api.get(f"/executions/{row['id']}/", params={"expand": "nodes"}).raise_for_status().json()
    )
    run["nodes"] = {node["node_name"]: node for node in run["nodes"]}
    run["logs"] = site_api.get(f"/executions/{row['id']}/logs/", params={"page_size": 500}).json()["results"]
    graph = site_api.get(f"/executions/{row['id']}/graph/").raise_for_status().json()
    names = {node["id"]: node["name"] for node in graph["nodes"]}
    run["edges"] = {(names[edge["source_node"]], names[edge["target_node"]]) for edge in graph["edges"]}
    return run


class Producer:
    """A program that reports itself and its steps by the Python package."""

    def __init__(self, client: OpenLineageClient) -> None:
        self.client = client
        self.root, self.job = Run(str(generate_new_uuid())), Job("prod", "nightly")

    def step(self) -> Run:
        parent = parent_run.ParentRunFacet(
            run=parent_run.Run(self.root.runId), job=parent_run.Job(self.job.namespace, self.job.name)
        )
        return Run(str(generate_new_uuid()), {"parent": parent})

    def emit(self, kind: RunState, run: Run, job: Job, reads: str = "", writes: str = "") -> None:
        inputs, outputs = ([each("db", name)] if name else [] for each, name in (
            (InputDataset, reads), (OutputDataset, writes),
        ))  # fmt: skip
        self.client.emit(RunEvent(
            eventType=kind, eventTime=datetime.now(UTC).isoformat(), run=run, job=job, producer=PRODUCER,
            inputs=inputs, outputs=outputs,
        ))  # fmt: skip


def test_the_python_client_reports_a_run_with_nodes_edges_and_an_error(
    site: Site, token: str, site_api: httpx.Client
) -> None:
    config = HttpConfig(site.address, auth=ApiKeyTokenProvider({"apiKey": token}))
    producer = Producer(OpenLineageClient(transport=HttpTransport(config)))
    producer.emit(RunState.START, producer.root, producer.job)
    load, rank = producer.step(), producer.step()
    producer.emit(RunState.START, load, Job("prod", "nightly.load"), writes="prices")
    producer.emit(RunState.COMPLETE, load, Job("prod", "nightly.load"), writes="prices")
    producer.emit(RunState.START, rank, Job("prod", "nightly.rank"), reads="prices")
    error = error_message_run.ErrorMessageRunFacet("no price of GOOG", "python", "Traceback ...")
    rank.facets["errorMessage"] = producer.root.facets["errorMessage"] = error
    producer.emit(RunState.FAIL, rank, Job("prod", "nightly.rank"), reads="prices")
    producer.emit(RunState.FAIL, producer.root, producer.job)
    run = run_of(site_api, "prod/nightly")
    assert (run["status"], run["error_message"]) == ("failed", "no price of GOOG")
    assert {name: node["status"] for name, node in run["nodes"].items()} == {"load": "completed", "rank": "failed"}
    assert run["edges"] == {("load", "rank")}
    detail = site_api.get(f"/node-executions/{run['nodes']['rank']['id']}/").json()
    assert (detail["error_message"], detail["error_traceback"]) == ("no price of GOOG", "Traceback ...")
    assert "FAIL nightly.rank: no price of GOOG" in [line["message"] for line in run["logs"]]


@pytest.fixture
def project(site: Site, tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield a copy of the project, and the environment that names its database, in the cluster of the server."""
    host = str(socket_dir(site.local / "postgres"))
    with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE warehouse")
        yield (
            Path(shutil.copytree(PROJECT, tmp_path / "shop")),
            {"DBT_HOST": host, "DBT_USER": "postgres", "DBT_NAME": "warehouse"},
        )
        connection.execute("DROP DATABASE warehouse WITH (FORCE)")


@pytest.mark.skipif(not DBT_OL, reason="needs a dbt-ol, of which `make proofs` sets the path in DBT_OL")
@pytest.mark.parametrize(
    ("option", "namespace"),
    [("--consume-structured-logs", "while it runs"), ("--no-partial-parse", "at its end")],
)
def test_dbt(
    option: str, namespace: str, site: Site, token: str, site_api: httpx.Client,
    project: tuple[Path, dict[str, str]],
) -> None:  # fmt: skip
    folder, database = project
    environment = {
        "OPENLINEAGE_URL": site.address, "OPENLINEAGE_API_KEY": token, "OPENLINEAGE_NAMESPACE": namespace,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "0", "PATH": f"{Path(DBT_OL).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    command = [DBT_OL, option, "build", "--project-dir", ".", "--profiles-dir", "."]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | database | environment, capture_output=True, text=True, timeout=180,
        check=False,
    )  # fmt: skip
    assert "ERROR=1 SKIP=1" in done.stdout, done.stdout + done.stderr
    run = run_of(site_api, f"{namespace}/dbt-run-shop")
    states = {name: node["status"] for name, node in run["nodes"].items()}
    models = {f"model.shop.{name}": "completed" for name in ("orders", "prices", "valued_orders")} | {FAILED: "failed"}
    assert run["status"] == "failed"
    assert {name: state for name, state in states.items() if state != "skipped" and "model." in name[:6]}.items() >= (
        models.items()
    )
    assert {("model.shop.orders", "model.shop.valued_orders"), ("model.shop.valued_orders", FAILED)} <= run["edges"]
    if option == "--consume-structured-logs":  # what dbt-ol sends at the end has no errors, seeds and skipped models
        assert states["model.shop.report"] == "skipped"
        assert states["seed.shop.raw_orders"] == "completed"
        assert site_api.get(f"/node-executions/{run['nodes'][FAILED]['id']}/").json()["error_message"].startswith(ERROR)
        assert run["error_message"].startswith("Command `dbt build` failed")
        check_statements([line["message"] for line in run["logs"]])


@pytest.mark.skipif(not DBT_OL, reason="needs a dbt, beside the dbt-ol of which `make proofs` sets the path in DBT_OL")
def test_the_log_of_dbt_is_imported(site: Site, site_api: httpx.Client, project: tuple[Path, dict[str, str]]) -> None:
    folder, database = project
    subprocess.run(
        [Path(DBT_OL).with_name("dbt"), "--log-format-file", "json", "build", "--profiles-dir", "."],
        cwd=folder, env=os.environ | database | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "0"}, timeout=180, check=False,
    )  # fmt: skip
    log = str(folder / "logs" / "dbt.log")
    for expected in ("Imported 1 runs", "Imported 0 runs (0 facts)"):
        assert expected in manage("import_runs", "--owner", "admin", log, local=site.local).stdout
    run = run_of(site_api, "shop")
    states = {name.removesuffix(".shop"): node["status"] for name, node in run["nodes"].items()}
    assert (run["status"], states["model.shop.report"], states[FAILED]) == ("failed", "skipped", "failed")
    assert {("model.shop.orders", "model.shop.valued_orders"), ("model.shop.valued_orders", FAILED)} <= run["edges"]
    assert site_api.get(f"/node-executions/{run['nodes'][FAILED]['id']}/").json()["error_message"].startswith(ERROR)


def check_statements(messages: list[str]) -> None:
    """Check that each statement is shown, once, without blank lines."""
    made = [text for text in messages if "create view" in text]
    assert len(made) == len(set(made)) == 2
    assert not any("\n\n" in text or '{"app": "dbt"' in text for text in messages)
