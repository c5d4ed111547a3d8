"""Rows of several owners, and callers, for the table of permissions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from alerts.models import Alert, Delivery
from alerts.tests.factories import rule_for, webhook
from executions import run_notes
from executions.audit import act_as
from executions.models import BulkAction, ErrorGroup, ErrorOccurrence, KeptRun
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from tokens.models import Scope, Token
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

from .matrix import API, BODIES, NOUNS, ROWS, TOKEN_OF_LEASES

ENTITLED = "owner: session with permissions"  # granted for the cell alone: it is the same user


def period() -> str:
    days = [(timezone.now() + timedelta(days=days)).strftime("%Y-%m-%dT00:00:00Z") for days in (-1, 2)]
    return "?after={}&before={}".format(*days)


APPS = ("ledgerkit", "tokens", "workflows", "executions", "alerts")


def digest() -> str:
    """Return a digest of every row of our tables, but for the last use of tokens."""
    models = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    one = "SELECT '{0}' || count(*) || coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '') FROM {0} AS t"
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(one.format(model._meta.db_table) for model in models if model is not Token))
        return str(sorted(cursor.fetchall()))  # several processes may read the tables, in any order


def writes() -> Any:
    """Return all permissions on our rows but the one to view what others own."""
    ours = Permission.objects.filter(content_type__app_label__in=["alerts", "executions", "workflows"])
    return ours.exclude(codename__startswith="view_")


def by_session(user: Any) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def by_token(user: Any, *scopes: str, revoked: bool = False, **fields: Any) -> APIClient:
    row, secret = Token.objects.issue(user=user, name="test", scopes=list(scopes or Scope.values), **fields)
    Token.objects.authenticate(secret)
    if revoked:
        row.revoke()
    return APIClient(HTTP_AUTHORIZATION=f"Token {secret}")


@dataclass
class World:
    """`owner` has the workflow that the table is about, and another one; `stranger` has one of their own. Each has a
    run with a node and a line. `telling` are the words by which an answer would reveal something about the owner's."""

    rows: dict[str, Any] = field(default_factory=dict)
    users: dict[str, Any] = field(default_factory=dict)
    callers: dict[str, dict[str, APIClient]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._people()
        for name, user in (("", "owner"), ("other ", "owner"), ("stranger's ", "stranger")):
            self._workflow(name, self.users[user])
        self._states()
        self._action()
        self._alerts()
        self._error_groups()
        self.callers = self._callers()
        self.telling = self._telling()
        self.at_first = digest()

    def _people(self) -> None:
        user = partial(UserFactory, is_staff=True)
        self.users = {name: UserFactory(username=f"the-{name}") for name in ("owner", "stranger")}
        self.users |= {"entitled stranger": UserFactory(), "entitled newcomer": user()}
        self.users |= {"teammate": user(), "newcomer": user(), "superuser": user(is_superuser=True)}
        self.users["teammate"].user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        for name in ("entitled stranger", "entitled newcomer"):
            self.users[name].user_permissions.set(writes())

    def _workflow(self, name: str, owner: Any) -> None:
        workflow = WorkflowFactory(owner=owner, name=f"{name}zanzibar", chain=[f"{name}fetch", f"{name}rank"])
        texts = {"error_message": f"went astray {name}!"}
        metadata = {"tags": [f"{name}tag"], "correlation_id": f"{name}corr", "allow_concurrent": True}
        metadata |= {key: f"{name}{key}" for key in ("triggered_by", "schedule_id", "priority")}
        metadata["rerun_of"] = str(workflow.pk)
        parent = {"parent_execution_id": str(workflow.pk)}
        run = WorkflowExecutionFactory(workflow=workflow, metadata=metadata, context=parent, **texts)
        node = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name=f"{name}fetch"))
        line = ExecutionLogFactory(workflow_execution=run, node_execution=node, message=f"{name}line")
        self.rows |= {f"{name}workflow": workflow, f"{name}running": in_state(run, "running"), f"{name}node": node}
        ExecutionLogFactory(workflow_execution=run, level="warning", message=f"astray warning {name}!")
        self.rows |= {f"{name}line": line}

    def _states(self) -> None:
        run = partial(WorkflowExecutionFactory, workflow=self.rows["workflow"])
        self.rows |= {"pending": run(), "failed": in_state(run(), "failed"), "retried": in_state(run(), "failed")}
        self.rows["retried"].retry()
        self.rows["kept"] = in_state(run(), "failed")
        KeptRun.keep(self.rows["kept"])
        self.rows["noted"] = in_state(run(), "failed")
        with act_as(user=self.users["owner"]):
            run_notes.write(self.rows["noted"].pk, "the vendor was late")
        node = partial(NodeFactory, workflow=self.rows["workflow"])
        node(name="unused")
        self.rows["node pending"] = self.rows["node"]
        # A run that completes has no node that runs: those that do stand in another one.
        busy = in_state(run(metadata={"allow_concurrent": True}), "running")
        for name, state in (("node running", "running"), ("node failed", "failed"), ("node retried", "failed")):
            self.rows[name] = in_state(NodeExecutionFactory(workflow_execution=busy, node=node()), state)
        self.rows["node retried"].retry()
        for name in ("running", "node running"):
            self.rows[name].leases.create(attempt=1, token=TOKEN_OF_LEASES, seconds=60)

    def _action(self) -> None:
        owner, run = self.users["owner"], self.rows["pending"]
        action = BulkAction.objects.create(
            verb="cancel", number=1, through="admin", user_id=str(owner.pk), username=owner.username
        )
        action.runs.create(workflow_execution_id=run.pk, workflow_name=run.workflow.name)
        self.rows["action"] = action

    def _alerts(self) -> None:
        owner, workflow = self.users["owner"], self.rows["workflow"]
        rule = rule_for("failure", channel=webhook(owner=owner), owner=owner, workflow=workflow)
        alert = Alert.objects.create(
            rule=rule, kind="failure", occurrence="once", workflow=workflow, facts={}, state="sent"
        )
        channel = rule.channels.get()
        delivery = Delivery.objects.create(alert=alert, channel=channel, body="the line ", state="delivered")
        self.rows |= {"rule": rule, "channel": channel, "delivery": delivery}

    def _error_groups(self) -> None:
        workflow, now = self.rows["workflow"], timezone.now()
        seen = {"first_seen": now, "last_seen": now}
        for name, digests in (("error group", ("a", "b")), ("other_group", ("c",))):
            group = self.rows[name] = ErrorGroup.objects.create(title="went astray", **seen)
            for digest in digests:
                group.fingerprints.create(workflow=workflow, digest=digest, rule="message", title="went astray", **seen)
        self.rows["fingerprint"] = self.rows["error group"].fingerprints.get(digest="b")
        ErrorOccurrence.objects.create(
            fingerprint=self.rows["fingerprint"], workflow_execution=self.rows["failed"], attempt=1, happened_at=now,
            node_execution=self.rows["node failed"],
        )  # fmt: skip

    def _callers(self) -> dict[str, dict[str, APIClient]]:
        users = self.users
        owner, here, other = users["owner"], self.rows["workflow"].pk, self.rows["other workflow"].pk
        strangers = {name: users[name] for name in ("stranger", "newcomer")}
        entitled = {name: users[name] for name in ("entitled stranger", "entitled newcomer")}
        own = {f"owner: {scope}": {"token": by_token(owner, scope)} for scope in Scope.values}
        return {
            "nobody": self._nobody(),
            "stranger: token": {name: by_token(user) for name, user in strangers.items()},
            "stranger: session": {name: by_session(user) for name, user in strangers.items()},
            "stranger: session with permissions": {name: by_session(user) for name, user in entitled.items()},
            "owner: bound to another workflow": {"token": by_token(owner, bound_to=[other])},
            "teammate: token": {"token": by_token(users["teammate"])},
            "teammate: session": {"session": by_session(users["teammate"])},
            "owner: session": {"session": by_session(owner)},
            ENTITLED: {"session": by_session(owner)},
            **own,
            "owner: every scope": {"token": by_token(owner)},
            "owner: bound to this workflow": {"token": by_token(owner, bound_to=[here])},
            "superuser": {"token": by_token(users["superuser"]), "session": by_session(users["superuser"])},
        }

    def _nobody(self) -> dict[str, APIClient]:
        owner, ago = self.users["owner"], timezone.now() - timedelta(seconds=1)
        gone = UserFactory(username="gone", is_staff=True, is_superuser=True)
        callers = {
            "anonymous": APIClient(),
            "a token that nobody made": APIClient(HTTP_AUTHORIZATION="Token ptl_guess"),
            "an expired token": by_token(owner, expires_at=ago),
            "a revoked token": by_token(owner, revoked=True),
            "a token of one who left": by_token(gone),
            "a session of one who left": by_session(gone),
        }
        gone.is_active = False
        gone.save()
        return callers

    def _telling(self) -> set[str]:
        ids = {str(row.pk) for name, row in self.rows.items() if not name.startswith("stranger's")}
        return ids | {"zanzibar", "fetch", "rank", "astray", "corr", "the-owner", "current_state", '"version"', "line "}

    def ask(self, client: APIClient, row: str, id: str = "", **headers: str) -> Any:
        """Send the request of a row of the table, for `id` in place of the row's own if it is given."""
        method = row.split(maxsplit=1)[0]
        url, body = self.url(row, id), self.body(row)
        return client.generic(method, url, body, content_type="application/json", headers=headers)

    def url(self, row: str, id: str = "") -> str:
        address = row.split()[1]
        named = {"{id}": id or str(self.row(row).pk), "{number}": "1", "{address}": "nothing/here/"}
        for name, value in named.items():
            address = address.replace(name, value)
        return API + address.removeprefix("/") + (period() if row.endswith(" logs/") else "")

    def row(self, row: str) -> Any:
        return self.rows[ROWS.get(row) or NOUNS.get(row.split()[1].partition("/{id}")[0], "workflow")]

    def body(self, row: str) -> str:
        body = json.dumps(BODIES.get(row, {}))
        for name in ("workflow", "channel", "other_group", "fingerprint"):
            body = body.replace(f"{{{name}}}", str(self.rows[name].pk))
        return body

    @contextmanager
    def anew(self, column: str = "") -> Iterator[None]:
        """Restore the first rows at the end of the block."""
        with transaction.atomic():
            if column == ENTITLED:
                self.users["owner"].user_permissions.set(writes())
            yield
            transaction.set_rollback(True)

    def told(self, answer: Any, asked: str) -> set[str]:
        """Return the words in the response that are of the owner's rows and were not in the request."""
        said = f"{answer.headers} {answer.content.decode()}"
        return {word for word in self.telling if word in said and word not in asked}
