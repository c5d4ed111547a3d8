"""Encrypted secrets of a run: what is stored, for how long, and what happens after they expire."""

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from executions import ingest
from executions.conf import executions_settings
from executions.exceptions import SecretsUnknown
from executions.masking import maskable_fields
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.secrets import retention
from executions.secrets.scrubber import MASK
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.threads import in_thread

pytestmark = pytest.mark.django_db

SECRET = "hunter2-hunter2"
CONTEXT = {"secrets": {"broker": SECRET}}


def running(**fields: Any) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(**({"context": CONTEXT} | fields)), "running")


def long_ago(run: WorkflowExecution, **age: int) -> None:
    WorkflowExecution.objects.filter(pk=run.pk).update(
        ended_at=Now() - timedelta(**age), started_at=F("started_at") - timedelta(**age)
    )


def message(run: WorkflowExecution, text: str = f"with {SECRET}") -> str:
    return ExecutionLogFactory(workflow_execution=run, message=text).message


def test_the_values_are_kept_encrypted_and_the_callers_own_document_stays_as_it_is() -> None:
    run = running()
    assert run.context == {"secrets": {"broker": MASK}}
    assert CONTEXT == {"secrets": {"broker": SECRET}}
    assert SECRET not in WorkflowExecution.objects.get().encrypted_secrets


def test_a_run_without_secrets_keeps_nothing() -> None:
    running(context={"variables": {"a": "b"}}).complete({"a": "b"})
    assert not WorkflowExecution.objects.filter(encrypted_secrets__isnull=False).exists()


def test_saving_what_is_masked_keeps_the_values_and_adds_none() -> None:
    run = WorkflowExecution.objects.get(pk=running().pk)
    sealed = WorkflowExecution.objects.get().encrypted_secrets
    run.save()
    assert (run.context, WorkflowExecution.objects.get().encrypted_secrets) == ({"secrets": {"broker": MASK}}, sealed)
    assert message(run) == f"with {MASK}"


def test_a_run_that_is_inserted_again_after_a_rollback_still_knows_its_secrets() -> None:
    workflow = WorkflowExecutionFactory().workflow
    run = WorkflowExecution(workflow=workflow, trigger_type="manual", context=CONTEXT)
    with transaction.atomic():
        run.save()
        transaction.set_rollback(True)
    run.save(force_insert=True)
    assert message(run) == f"with {MASK}"


def test_runs_made_at_once_keep_theirs_apart() -> None:
    workflow = WorkflowExecutionFactory().workflow
    runs = WorkflowExecution.objects.bulk_create(
        WorkflowExecution(workflow=workflow, trigger_type="manual", context={"secrets": {"a": f"secret-no-{n}"}})
        for n in range(3)
    )
    assert message(runs[1], "secret-no-0 secret-no-1") == f"secret-no-0 {MASK}"


def test_what_a_node_or_a_line_reveals_is_found_from_then_on_in_the_whole_run() -> None:
    node = NodeExecutionFactory(workflow_execution=running(), input_data={"password": "of-the-node"})
    run = node.workflow_execution
    line = ExecutionLogFactory(workflow_execution=run, message="of-the-line", data={"token": "of-the-line"})
    in_state(node, "running").complete({"api_key": "of-the-output"})
    assert line.message == MASK
    assert message(run, f"of-the-node of-the-line of-the-output {SECRET}") == " ".join([MASK] * 4)


def test_a_run_is_known_by_its_id_as_text_too() -> None:
    run = running()
    write: list[Any] = [
        ExecutionLog.objects.create,
        lambda **line: ExecutionLog.objects.bulk_create([ExecutionLog(**line)]),
    ]
    for number, create in enumerate(write):
        line = {"workflow_execution_id": str(run.pk), "level": "info"}
        create(**line, message=f"with {SECRET}", data={"token": f"brought-{number}"})
        assert run.logs.newest(1)[0]["message"] == f"with {MASK}"
        assert message(run, f"brought-{number}") == MASK


def test_many_lines_of_several_runs_are_each_clear_of_their_own() -> None:
    runs = [running(), running(context={"secrets": {"a": "other-secret"}}), running(context={})]
    text = f"{SECRET} other-secret"
    lines = [ExecutionLog(workflow_execution=run, level="info", message=text) for run in runs]
    for write in (ExecutionLog.objects.bulk_create, ingest.write_lines):
        write(lines)
        assert [line.message for line in lines] == [f"{MASK} other-secret", f"{SECRET} {MASK}", text]
        lines = [ExecutionLog(workflow_execution=run, level="info", message=text) for run in runs]


def test_each_text_of_a_line_is_clear() -> None:
    texts = {name: {"a": SECRET} if name == "data" else SECRET for name in maskable_fields(ExecutionLog)}
    ingest.write_lines([ExecutionLog(workflow_execution=running(), level="info", **texts)])
    assert SECRET not in str(ExecutionLog.objects.values(*texts).get())


def test_an_update_of_many_rows_is_clear_of_the_secrets_of_all() -> None:
    runs = [running(), running(context={"secrets": {"a": "other-secret"}})]
    WorkflowExecution.objects.update(error_message=f"{SECRET} other-secret", input_data={"password": "a-new-one"})
    for run in WorkflowExecution.objects.all():
        assert (run.error_message, run.input_data) == (f"{MASK} {MASK}", {"password": MASK})
        assert message(run, "a-new-one") == MASK
    assert len(runs) == 2


def test_attempts_are_masked_too() -> None:
    node = in_state(NodeExecutionFactory(workflow_execution=running()), "failed")
    attempt = node.attempts.create(number=9, status="failed", output_data={"token": 10_001}, error_message=SECRET)
    assert (attempt.output_data, attempt.error_message) == ({"token": MASK}, MASK)


@pytest.mark.parametrize(("verb", "state"), [("complete", "completed"), ("cancel", "cancelled")])
def test_late_lines_are_taken_for_an_hour_and_then_refused_in_a_sentence(verb: str, state: str) -> None:
    run = running()
    getattr(run, verb)()
    assert message(run) == f"with {MASK}"
    long_ago(run, minutes=61)
    with pytest.raises(SecretsUnknown, match=f"Cannot add a line to execution in {state} state: its secrets have"):
        message(run)
    with pytest.raises(SecretsUnknown):
        ExecutionLog.objects.bulk_create([ExecutionLog(workflow_execution=run, level="info", message="x")])


def test_late_lines_of_a_run_without_secrets_are_always_taken() -> None:
    run = running(context={})
    run.complete()
    long_ago(run, days=900)
    assert message(run) == f"with {SECRET}"


def test_a_failed_run_can_be_retried_for_a_week_and_then_not() -> None:
    early, late = running(), running()
    for run, age in ((early, 6), (late, 8)):
        run.fail(SECRET)
        long_ago(run, days=age)
    call_command("purge_secrets", stdout=StringIO())
    early.retry()
    assert message(in_state(early, "running")) == f"with {MASK}"
    with pytest.raises(SecretsUnknown, match="Cannot retry execution in failed state"):
        late.retry()


def test_what_came_with_a_failed_run_is_not_used_once_its_time_has_passed() -> None:
    late, without = running(), running(context={})
    for run in (late, without):
        run.fail("x")
    mine = [WorkflowExecution.objects.get(pk=run.pk) for run in (late, without)]
    for run in (late, without):
        long_ago(run, days=8)
    with pytest.raises(SecretsUnknown, match="Cannot retry execution in failed state: its secrets have been deleted"):
        mine[0].retry()
    mine[1].retry()
    assert [str(WorkflowExecution.objects.get(pk=run.pk).status) for run in (late, without)] == ["failed", "pending"]


def test_a_purge_deletes_what_is_over_and_nothing_else() -> None:
    over, open_, ended = running(), running(), running()
    over.complete()
    ended.complete()
    long_ago(over, hours=2)
    printed = StringIO()
    call_command("purge_secrets", dry_run=True, stdout=printed)
    call_command("purge_secrets", stdout=printed)
    call_command("purge_secrets", stdout=printed)
    assert [line.split("secrets of ")[1] for line in printed.getvalue().splitlines()] == [
        "1 executions would be deleted.", "1 executions.", "0 executions.",
    ]  # fmt: skip
    assert {row.pk for row in WorkflowExecution.objects.filter(encrypted_secrets="")} == {over.pk}
    assert message(open_) == message(ended) == f"with {MASK}"
    with pytest.raises(SecretsUnknown):
        message(over)


def test_a_verb_that_ends_a_run_with_secrets_purges_others_at_most_once_a_minute(
    django_capture_on_commit_callbacks: Any,
) -> None:
    over = running()
    over.complete()
    long_ago(over, hours=2)
    retention._purged_at = -1e9
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        in_state(WorkflowExecutionFactory(), "running").complete(output_data={"orders": 1})
    assert retention.purge_occasionally not in callbacks, "a run without secrets leaves none"
    with django_capture_on_commit_callbacks(execute=True):
        running().cancel()
    assert WorkflowExecution.objects.get(pk=over.pk).encrypted_secrets == ""
    moment = retention._purged_at
    retention.purge_occasionally(clock=lambda: moment + 59)
    assert retention._purged_at == moment


def test_keys_rotate(settings: Any) -> None:
    run, old, new = running(), executions_settings.SECRETS_KEYS, Fernet.generate_key().decode()
    settings.EXECUTIONS = settings.EXECUTIONS | {"SECRETS_KEYS": [new, *old]}
    assert message(run) == f"with {MASK}"
    NodeExecutionFactory(workflow_execution=run, input_data={"password": "another one"})
    settings.EXECUTIONS = settings.EXECUTIONS | {"SECRETS_KEYS": [new]}
    assert message(run, f"another one {SECRET}") == f"{MASK} {MASK}"


def test_with_a_lost_key_nothing_is_stored_and_the_sentence_says_why(settings: Any) -> None:
    run = running()
    settings.EXECUTIONS = settings.EXECUTIONS | {"SECRETS_KEYS": [Fernet.generate_key().decode()]}
    with pytest.raises(SecretsUnknown, match=r"put the key that encrypted them back into EXECUTIONS\['SECRETS_KEYS'\]"):
        message(run)
    with pytest.raises(SecretsUnknown, match="Cannot fail execution in running state"):
        run.fail(SECRET)
    run.cancel()
    assert not ExecutionLog.objects.exists()


def test_a_refused_line_is_409_over_the_api(api: Any, owner: Any, workflow: Any) -> None:
    run = running(workflow=workflow)
    run.complete()
    long_ago(run, hours=2)
    line = {"level": "info", "message": SECRET}
    answer = api(owner).post(f"/api/v1/executions/{run.pk}/logs/", line, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "secrets_unknown")
    assert SECRET not in answer.content.decode()


def test_secrets_go_with_their_run() -> None:
    running().delete()
    assert not WorkflowExecution.objects.filter(encrypted_secrets__isnull=False).exists()


@pytest.mark.django_db(transaction=True)
def test_the_first_line_after_another_connection_brought_secrets_is_clear_of_them() -> None:
    run = running()
    message(run)

    in_thread(lambda: NodeExecutionFactory(workflow_execution=run, input_data={"password": "brought elsewhere"}))
    assert message(run, "brought elsewhere") == MASK


@pytest.mark.django_db(transaction=True)
def test_secrets_that_many_connections_bring_at_once_are_all_kept() -> None:
    run = running()
    node = NodeExecutionFactory(workflow_execution=run).node

    def bring(n: int) -> None:
        NodeExecution.objects.create(
            workflow_execution=run, node=node, execution_order=0, input_data={"password": f"number-{n:03}"}
        )
        connection.close()

    threads = [threading.Thread(target=bring, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert message(run, " ".join(f"number-{n:03}" for n in range(8))) == " ".join([MASK] * 8)
