"""Tokens in the admin: made, shown once, revoked; never edited, and their digest never seen."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions.tests.cast import permissions
from ledgerkit.tests.clients import client_of
from tokens.models import Token, digest
from workflows.tests.factories import UserFactory

LIST = "/admin/tokens/token/"


def secret_on(response: Any) -> str:
    """Return the token in clear text, from the page after its creation."""
    assert response.status_code == 200
    return re.search(r"<code>(ptl_[\w-]+)</code>", response.content.decode())[1]


@pytest.fixture
def token(owner: Any) -> Token:
    return Token.objects.issue(user=owner, name="engine", scopes=["executions:read"])[0]


def form(user: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "ci", "user": user.pk, "scopes": ["executions:read", "workflows:write"]} | fields


class TestMaking:
    def test_the_secret_is_shown_once(self, staff: Any, owner: Any) -> None:
        client = client_of(staff)
        response = client.post(f"{LIST}add/", form(owner))
        secret, token = secret_on(response), Token.objects.get()
        assert (token.digest, token.user) == (digest(secret), owner)
        assert token.scopes == ["executions:read", "workflows:write"]
        assert f"Authorization: Token {secret}" in response.content.decode()
        assert f'href="{LIST}"' in response.content.decode()
        for path in (LIST, f"{LIST}{token.pk}/change/", f"{LIST}{token.pk}/history/"):
            assert secret not in client.get(path).content.decode()

    def test_the_form_offers_what_an_engine_needs_for_ninety_days(self, staff: Any) -> None:
        html = client_of(staff).get(f"{LIST}add/").content.decode()
        assert re.findall(r'name="scopes" value="([a-z:]+)"[^>]*checked', html) == [
            "executions:read",
            "executions:report",
        ]
        assert f'name="expires_at_0" value="{timezone.now() + timedelta(days=90):%Y-%m-%d}"' in html

    def test_an_address_fills_the_form_in_but_for_what_it_cannot(self, staff: Any) -> None:
        response = client_of(staff).get(f"{LIST}add/?name=engine&expires_at=abc")
        assert (response.status_code, 'value="engine"' in response.content.decode()) == (200, True)

    @pytest.mark.parametrize("date", ["0001-01-01", "10000-01-01", "abc", "9" * 5000])
    @pytest.mark.parametrize("time", ["00:00", "25:00", ""])
    def test_a_time_that_cannot_be_is_a_sentence(self, staff: Any, owner: Any, date: str, time: str) -> None:
        sent = form(owner, expires_at_0=date, expires_at_1=time)
        response = client_of(staff).post(f"{LIST}add/", sent)
        assert (response.status_code, 'class="errorlist"' in response.content.decode()) == (200, True)
        assert not Token.objects.exists()

    def test_the_secret_stays_nowhere(self, staff: Any, owner: Any) -> None:
        """Neither in a cache of the browser, nor in a cookie, which is signed but can be read, nor in the session."""
        client = client_of(staff)
        response = client.post(f"{LIST}add/", form(owner))
        assert "no-store" in response["Cache-Control"]
        assert list(get_messages(response.wsgi_request)) == []
        assert "messages" not in response.cookies
        kept = [str(response.headers), str(client.cookies), str(dict(client.session))]
        assert not any(secret_on(response) in place for place in kept)

    def test_the_page_offers_no_way_on_that_would_skip_the_secret(self, staff: Any) -> None:
        page = client_of(staff).get(f"{LIST}add/").content.decode()
        assert ["_save" in page, "_continue" in page, "_addanother" in page] == [True, False, False]

    def test_it_may_expire_but_not_in_the_past(self, staff: Any, owner: Any) -> None:
        for days, count in ((-1, 0), (1, 1)):
            date, time = f"{timezone.now() + timedelta(days=days):%Y-%m-%d %H:%M:%S}".split()
            client_of(staff).post(f"{LIST}add/", form(owner, expires_at_0=date, expires_at_1=time))
            assert Token.objects.count() == count

    @pytest.mark.parametrize("scopes", [[], ["bogus"], ["\x00"]])
    def test_it_has_scopes_that_there_are(self, scopes: list[str], staff: Any, owner: Any) -> None:
        assert client_of(staff).post(f"{LIST}add/", form(owner, scopes=scopes)).status_code == 200
        assert not Token.objects.exists()

    def test_only_a_superuser_makes_one_for_another(self, staff: Any) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("add_token", "view_token"))
        client_of(user).post(f"{LIST}add/", form(staff))
        assert Token.objects.get().user == user


class TestRevoking:
    def test_in_the_list_and_on_its_page(self, staff: Any, owner: Any) -> None:
        client = client_of(staff)
        one, two = (Token.objects.issue(user=owner, name=name, scopes=[])[0] for name in "ab")
        client.post(LIST, {"action": "revoke", "_selected_action": [one.pk], "confirmed": "yes"})
        client.post(
            f"{LIST}{two.pk}/change/", {"CHANGE_FORM-action": "revoke", "_selected_action": two.pk, "confirmed": "yes"}
        )
        assert not Token.objects.usable().exists()

    def test_a_second_time_changes_nothing(self, staff: Any, token: Token) -> None:
        token.revoke()
        before = token.revoked_at
        client_of(staff).post(LIST, {"action": "revoke", "_selected_action": [token.pk], "confirmed": "yes"})
        assert Token.objects.get().revoked_at == before

    def test_who_may_only_view_cannot(self, teammate: Any, token: Token) -> None:
        client = client_of(teammate)
        client.post(LIST, {"action": "revoke", "_selected_action": [token.pk], "confirmed": "yes"})
        client.post(
            f"{LIST}{token.pk}/change/",
            {"CHANGE_FORM-action": "revoke", "_selected_action": token.pk, "confirmed": "yes"},
        )
        assert Token.objects.usable().exists()


class TestLooking:
    def test_the_list_does_not_promise_that_they_can_be_changed(self, staff: Any) -> None:
        assert client_of(staff).get(LIST).context["title"] == "Tokens"

    def test_the_digest_is_never_shown_nor_to_be_guessed(self, staff: Any, token: Token) -> None:
        client = client_of(staff)
        for path in (LIST, f"{LIST}{token.pk}/change/", f"{LIST}{token.pk}/delete/"):
            assert token.digest not in client.get(path).content.decode()
        response = client.get(f"{LIST}?digest__startswith={token.digest[0]}")
        assert (response.status_code, response["Location"]) == (302, f"{LIST}?e=1")

    def test_the_list_reads_the_username_and_nothing_else_of_the_user(self, staff: Any, token: Token) -> None:
        client = client_of(staff)
        with CaptureQueriesContext(connection) as queries:
            client.get(LIST)
        (sql,) = [query["sql"] for query in queries if query["sql"].startswith('SELECT "tokens"."id"')]
        assert '"auth_user"."username"' in sql
        assert [name for name in ("digest", "password", "email", "last_login") if f'"{name}"' in sql] == []

    def test_it_is_never_edited(self, staff: Any, token: Token) -> None:
        client = client_of(staff)
        assert 'name="_save"' not in client.get(f"{LIST}{token.pk}/change/").content.decode()
        assert client.post(f"{LIST}{token.pk}/change/", {"name": "other", "_save": "1"}).status_code == 403

    def test_usable_and_revoked_ones_are_told_apart(self, staff: Any, token: Token) -> None:
        client = client_of(staff)
        for state, count in (("usable", 1), ("revoked", 0)):
            assert len(client.get(f"{LIST}?state={state}").context["cl"].result_list) == count

    def test_strangers_owners_and_newcomers_do_not_see_them(self, stranger: Any, owner: Any, newcomer: Any) -> None:
        assert [client_of(user).get(LIST).status_code for user in (stranger, owner, newcomer)] == [302, 302, 403]


def test_only_workflows_that_the_user_may_see_can_be_bound(newcomer: Any, staff: Any, workflow: Any) -> None:
    newcomer.user_permissions.set(permissions("add_token", "view_token"))
    for user, offered in ((newcomer, False), (staff, True), (newcomer, False)):
        client = Client()
        client.force_login(user)
        html = client.get("/admin/tokens/token/add/").content.decode()
        assert (str(workflow.pk) in html) is offered
    answer = client.post(
        "/admin/tokens/token/add/", {"name": "x", "scopes": ["executions:read"], "bound_to": [str(workflow.pk)]}
    )
    assert answer.context["adminform"].form.errors["bound_to"]
    assert not Token.objects.filter(name="x").exists()


def test_without_an_app_of_workflows_a_token_is_made_unbound(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokens.bindable_models._models", [])
    page = admin_client.get("/admin/tokens/token/add/")
    assert list(page.context["adminform"].form.fields["bound_to"].queryset) == []
    admin_client.post(
        "/admin/tokens/token/add/", {"name": "engine", "user": page.context["user"].pk, "scopes": "executions:read"}
    )
    assert Token.objects.get().bound_to == []


def test_without_recorded_changes_the_history_page_is_the_admins_own(
    admin_client: Client, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledgerkit.admin.history._readers", [])
    page = admin_client.get(f"/admin/tokens/token/{Token.objects.get().pk}/history/")
    assert page.status_code == 200
    assert "admin/object_history.html" in [template.name for template in page.templates]
