"""The pages in Korean: every word of ours is translated, and each page is of one language."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone, translation

from executions import refusal_reasons
from executions.admin import duration_cells, formatting
from executions.exceptions import ACTS, ImmutableLog, InvalidTransition
from executions.models import ExecutionStatus, LogLevel, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from tokens.models import Scope, Token
from workflows.exceptions import CyclicGraph
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

from . import untranslated_text

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Names, and what is the same in every language. The switch of the language names each in its own words.
SAME = (
    "PasteTrader|API|SQL|ID|CSV|JSON Lines|JSON|UTC|p50|p95|ms|English|Control|Command|Mac|Single Sign-On|LDAP"
    "|Slack|whsec_|base64|Asia/Seoul|every_day|weekdays|XKRX"  # names and values of alerts
)
KNOWN = re.compile(f"(?<![A-Za-z])(?:{SAME}|{UUID})(?![A-Za-z])")
ACTING = ("models/*.py", "querysets.py", "retry.py")
CASES = ("run", "node", "line", "workflow", "token", "user")


@pytest.fixture
def world(db: None) -> dict[str, Any]:
    """Rows whose names are no Latin words: a run that failed after a success, with all that a page of it can show."""
    Group.objects.all().delete()  # names of groups are data, also of those that migrate creates
    user = UserFactory(username="관리자", is_staff=True, is_superuser=True, first_name="", last_name="")
    workflow = WorkflowFactory(owner=user, name="모멘텀", description="", chain=["하나", "둘", "셋"])
    run = _failed_run(workflow)
    in_state(WorkflowExecutionFactory(workflow=workflow, metadata={"allow_concurrent": True}), "running")
    WorkflowExecutionFactory(workflow=WorkflowFactory(owner=user, name="꺼짐", description="", is_active=False))
    token, _secret = Token.objects.issue(user=user, name="엔진", scopes=list(Scope.values))
    node = run.node_executions.get(node__name="하나")
    return {
        "user": user,
        "workflow": workflow,
        "run": run,
        "node": node,
        "line": run.logs.first(),
        "token": token,
    }


def _failed_run(workflow: Workflow) -> WorkflowExecution:
    """A success comes before it, a child after it. Its first node failed twice, the others were never started."""
    in_state(WorkflowExecutionFactory(workflow=workflow, input_data={"1": 1}), "completed")
    metadata = {"tags": ["밤"], "correlation_id": "17", "triggered_by": "시계"}
    run = in_state(WorkflowExecutionFactory(workflow=workflow, metadata=metadata, input_data={"1": 2}), "running")
    for order, node in enumerate(workflow.nodes.order_by("id")):
        NodeExecutionFactory(workflow_execution=run, node=node, execution_order=order)
    first = run.node_executions.get(node__name="하나")
    for _attempt in range(2):
        first.start()
        first.fail("값이 없음", "자리")
        first.retry() if first.attempt == 1 else None
    for level in LogLevel.values:
        ExecutionLogFactory(workflow_execution=run, node_execution=first, level=level, message="한 줄", data={"1": 1})
    run.fail("실패했음")
    WorkflowExecutionFactory(workflow=workflow, context={"parent_execution_id": str(run.pk)})
    return run


def _addresses(world: dict[str, Any]) -> Iterator[str]:
    run = reverse("admin:executions_workflowexecution_change", args=[world["run"].pk])
    runs = reverse("admin:executions_workflowexecution_changelist")
    yield from (reverse("admin:index"), run, f"{run}?node={world['node'].pk}", f"{run}?compare=1", f"{run}?node=0")
    yield from (f"{runs}?not_status=failed", f"{runs}?q=0", f"{runs}?owner=me&pace=slow", f"{runs}?error_group=none")
    yield f"{run.removesuffix('change/')}delete/"
    yield reverse("admin:password_change")
    for name in CASES:
        row = world[name]
        for page in ("change", "history"):
            yield reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])
    for model in admin.site._registry:
        yield _list(model)
    for name in ("tokens_token_add", "workflows_workflow_add"):
        yield reverse(f"admin:{name}")


def _list(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.fixture
def client(world: dict[str, Any]) -> Client:
    korean = Client(headers={"accept-language": "ko"})
    korean.force_login(world["user"])
    return korean


def _page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, address
    return str(response.content.decode())


def _crawl(client: Client, world: dict[str, Any]) -> dict[str, str]:
    """Return the pages of _addresses() by address, and one of each other kind that they link to."""
    waiting = list(_addresses(world))
    kinds = {_kind(address) for address in waiting}
    pages = {}
    for address in waiting:
        response = client.get(address)
        assert response.status_code in {200, 302}, address
        if response.status_code == 200 and response["Content-Type"].startswith("text/html"):
            pages[address] = response.content.decode()
            for link in untranslated_text.links(pages[address]):
                if link.startswith("/admin/") and (kind := _kind(link)) not in kinds:
                    kinds.add(kind)
                    waiting.append(link)
    return pages


def _kind(address: str) -> str:
    return resolve(urlsplit(address).path).view_name


def _latin(pages: dict[str, str]) -> str:
    """Return the Latin words of pages by address, a line each."""
    found = {
        address: dict.fromkeys(untranslated_text.latin(untranslated_text.texts(html), KNOWN))
        for address, html in pages.items()
    }
    return "\n".join(f"{address}: {text}" for address, left in found.items() for text in left)


@pytest.mark.slow
def test_no_english_word_is_left_on_a_korean_page(world: dict[str, Any], client: Client) -> None:
    assert _latin(_crawl(client, world)) == ""


def test_a_page_says_which_language_it_is_in(client: Client, world: dict[str, Any]) -> None:
    html = _page(client, reverse("admin:index"))
    assert untranslated_text.language(html) == "ko"
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    assert untranslated_text.language(_page(client, reverse("admin:index"))) == "en"


def test_staff_choose_the_language_on_the_page_and_it_stays(client: Client) -> None:
    runs = reverse("admin:executions_workflowexecution_changelist") + "?status=failed"
    answer = client.post(reverse("set_language"), {"language": "en", "next": runs})
    assert (answer.status_code, answer["Location"]) == (302, runs)
    html = _page(client, runs)
    assert untranslated_text.language(html) == "en"
    assert '<button type="submit" name="language" value="ko" lang="ko">한국어</button>' in html


def test_the_login_page_can_be_switched_too(db: None) -> None:
    html = _page(Client(), reverse("admin:login"))
    assert 'value="ko" lang="ko">한국어</button>' in html


def test_the_language_is_changed_by_post_alone_and_leads_to_no_other_site(client: Client) -> None:
    assert client.get(reverse("set_language") + "?language=en").cookies == {}
    answer = client.post(reverse("set_language"), {"language": "en", "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/"


def test_a_status_has_one_word_everywhere() -> None:
    with translation.override("ko"):
        words = [str(status.label) for status in ExecutionStatus]
    assert words == ["대기", "실행 중", "완료", "실패", "건너뜀", "취소됨"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "40 ms"),
        (1.24, "1.2초"),
        (65, "1분 5초"),
        (7_500, "2시간 5분"),
        (273_600, "3일 4시간"),
    ],
)
def test_durations_are_korean(seconds: float, words: str) -> None:
    with translation.override("ko"):
        assert formatting.format_duration(seconds) == words


@pytest.mark.parametrize(
    ("passed", "words"), [(12, "12초 전"), (180, "3분 전"), (7_300, "2시간 전"), (172_900, "2일 전")]
)
def test_relative_times_are_korean(passed: int, words: str) -> None:
    with translation.override("ko"):
        assert duration_cells.format_ago(timezone.now() - timedelta(seconds=passed)) == words


def test_the_clocks_of_a_page_tick_in_korean(client: Client) -> None:
    html = _page(client, reverse("admin:index"))
    assert json.loads(re.findall(r'id="clocks" type="application/json">(.*?)</script>', html)[0])["minutes"] == (
        "%(minutes)d분 %(seconds)d초"
    )


def test_moments_are_written_alike_in_both_languages(world: dict[str, Any], client: Client) -> None:
    token = world["token"]
    for language in ("ko", "en"):
        client.defaults["HTTP_ACCEPT_LANGUAGE"] = language
        assert f"{token.created_at:%Y-%m-%d %H:%M:%S}" in _page(client, reverse("admin:tokens_token_changelist"))


class TestRefusals:
    def test_staff_read_them_in_korean(self, client: Client, world: dict[str, Any]) -> None:
        run = world["run"]
        chosen = {"action": "cancel", "_selected_action": [str(run.pk)], "reason": "늦음"}
        address = reverse("admin:executions_workflowexecution_changelist")
        html = client.post(address, chosen, follow=True).content.decode()
        assert "현재 상태(실패)에서는 할 수 없는 동작입니다: 취소." in html

    def test_they_stay_the_contracts_english_for_programs(self) -> None:
        with translation.override("ko"):
            refusal = InvalidTransition("start", ExecutionStatus.COMPLETED)
            assert str(refusal) == "Cannot start execution in completed state"
            assert str(refusal.sentence) == "현재 상태(완료)에서는 할 수 없는 동작입니다: 시작."
            assert str(ImmutableLog()).startswith("A log line cannot be changed")
            assert str(CyclicGraph(["가", "나", "가"])) == "The edges form a cycle: 가 → 나 → 가. Remove one of them."

    def test_their_reason_is_translated_with_them(self) -> None:
        refusal = InvalidTransition("complete", ExecutionStatus.RUNNING, refusal_reasons.still_running(3))
        assert str(refusal) == "Cannot complete execution in running state: 3 of its nodes are still running"
        with translation.override("ko"):
            assert str(refusal.sentence) == (
                "현재 상태(실행 중)에서는 할 수 없는 동작입니다: 완료 처리. 아직 실행 중인 노드가 3개 있습니다."
            )

    def test_every_act_that_is_refused_or_remembered_has_a_word(self) -> None:
        """Each act that the sources name is a key of ACTS."""
        said = "".join(
            path.read_text() for pattern in ACTING for path in (settings.BASE_DIR / "executions").glob(pattern)
        )
        acts = re.findall(r'(?:_transition|_lock_run|_locked|noted|_noted|InvalidTransition)\(\s*"([a-z ]+)"', said)
        assert acts
        assert set(acts) <= ACTS.keys()


class TestApi:
    @pytest.mark.parametrize("path", ["/api/v1/executions/", "/api/v1/executions/?pages=1", "/api/v1/nowhere/"])
    def test_it_speaks_english_whatever_is_requested(self, api: Any, staff: Any, path: str) -> None:
        english, korean = api(staff), api(staff)
        korean.credentials(**korean._credentials, HTTP_ACCEPT_LANGUAGE="ko")
        answers = [client.get(path) for client in (english, korean)]
        assert answers[0].content == answers[1].content
        assert [answer["Content-Language"] for answer in answers] == ["en", "en"]

    def test_what_rest_framework_and_django_say_is_english_too(self, api: Any, staff: Any) -> None:
        client = api(staff)
        client.credentials(**client._credentials, HTTP_ACCEPT_LANGUAGE="ko")
        answer = client.post("/api/v1/workflows/", {"name": ""}, format="json")
        assert answer.status_code == 400
        assert "This field may not be blank." in [error["detail"] for error in answer.json()["errors"]]
