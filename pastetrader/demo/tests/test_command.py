import io
import logging

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from executions.models import HistoryEntry, NodeExecution, WorkflowExecution
from pastetrader.demo.workflow import get_or_make
from workflows.models import Edge, Node, Workflow
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def demo(*args: str) -> str:
    out = io.StringIO()
    call_command("demo", *args, stdout=out)
    return out.getvalue()


def test_the_demo_prints_each_node_the_ranking_and_the_address() -> None:
    printed = demo()
    assert "  failed     Momentum IBM: MalformedRowError: Line 409" in printed
    assert printed.index("retried    Momentum IBM") < printed.index("completed  Momentum IBM")
    assert "  skipped    Picks\n" in printed
    assert (
        "  1. GOOG   +21.9%\n  2. IBM     +4.1%\n  3. MSFT   -10.7%\n  4. AAPL   -13.9%\n  -  FB    not ranked"
        in printed
    )
    assert f"/admin/executions/workflowexecution/{WorkflowExecution.objects.get().pk}/change/" in printed


def test_every_move_of_it_is_written_down_as_made_over_the_api_by_its_user() -> None:
    UserFactory(username="ada")
    demo("--owner", "ada")
    entries = HistoryEntry.objects.values_list("through", "username").distinct().order_by()
    assert list(entries) == [("api", "ada")]


def test_a_second_demo_is_a_second_run_of_the_same_definitions() -> None:
    demo()
    definitions = [set(model.objects.values_list("pk", flat=True)) for model in (Workflow, Node, Edge)]
    demo()
    assert [set(model.objects.values_list("pk", flat=True)) for model in (Workflow, Node, Edge)] == definitions
    assert [len(found) for found in definitions] == [1, 11, 21]
    assert (WorkflowExecution.objects.count(), NodeExecution.objects.count()) == (2, 22)


def test_the_run_says_who_triggered_it_and_carries_its_metadata_and_context() -> None:
    UserFactory(username="ada", is_superuser=True)
    demo()
    run = WorkflowExecution.objects.get()
    assert run.trigger_type == "manual"
    assert run.metadata["triggered_by"] == "ada"
    assert (run.metadata["tags"], run.metadata["priority"]) == (["demo", "momentum"], "normal")
    assert run.metadata["correlation_id"].startswith("demo-")
    assert run.context["variables"] == run.workflow.variables
    assert set(run.context["environment"]) == {"python", "django"}


def test_the_workflow_is_the_first_superusers_unless_an_owner_is_named() -> None:
    UserFactory(username="trader")
    UserFactory(username="ada", is_superuser=True)
    demo()
    demo("--owner", "trader")
    owners = Workflow.objects.order_by("created_at").values_list("owner__username", flat=True)
    assert list(owners) == ["ada", "trader"]


def test_without_a_superuser_the_workflow_is_nobodys() -> None:
    demo()
    assert Workflow.objects.get().owner is None


def test_an_unknown_owner_is_one_sentence() -> None:
    with pytest.raises(CommandError, match=r"^There is no user nobody: make one with"):
        demo("--owner", "nobody")
    assert not Workflow.objects.exists()


def test_while_another_run_is_running_it_is_one_sentence_that_names_that_run() -> None:
    other = WorkflowExecution.objects.create(workflow=get_or_make(None), trigger_type="manual")
    other.start()
    with pytest.raises(CommandError) as refusal:
        demo()
    assert str(refusal.value) == f"Momentum screen is running already: wait for run {other.pk} to end, or cancel it."


def test_a_failed_run_is_an_error_of_the_command() -> None:
    get_or_make(None).nodes.filter(name="Momentum IBM").update(retry_config={"max_retries": 0})
    with pytest.raises(CommandError, match=r"^Momentum IBM: MalformedRowError: Line 409"):
        demo()


def test_for_a_day_with_too_little_history_the_market_filter_fails() -> None:
    demo()
    with pytest.raises(CommandError, match=r"^Market filter: ValueError: No stock has a history long enough"):
        demo("--as-of", "2011-06-30")
    runs = WorkflowExecution.objects.order_by("created_at")
    assert [(run.status, run.input_data["as_of"]) for run in runs] == [
        ("completed", "2013-03-01"),
        ("failed", "2011-06-30"),
    ]
    failed = runs.last().node_executions.values_list("node__name", "status")
    assert dict(failed)["Report"] == "skipped"


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="expected a day such as 2012-06-29, found 'yesterday'"):
        demo("--as-of", "yesterday")


def test_a_deleted_screen_is_made_anew_and_a_changed_one_is_left_as_it_is() -> None:
    first = get_or_make(None)
    first.nodes.filter(name="Picks").update(config={"function": "picks", "top": 1})
    assert get_or_make(None) == first
    assert first.nodes.get(name="Picks").config["top"] == 1
    first.soft_delete()
    assert get_or_make(None) != first


def test_what_nodes_log_is_not_repeated_on_the_console(capfd: pytest.CaptureFixture[str]) -> None:
    demo()
    assert "Screening" not in capfd.readouterr().err
    assert logging.getLogger("pastetrader.demo").propagate


def test_every_edge_and_node_of_the_screen_passes_its_own_validation() -> None:
    screen = get_or_make(None)
    for part in [screen, *screen.nodes.all(), *screen.edges.all()]:
        part.full_clean()
