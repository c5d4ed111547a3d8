from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tokens.models import Scope, Token


def create_token(*arguments: str) -> str:
    out = StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue().strip()


def test_the_command_prints_a_token_that_opens_the_api(api: Any, owner: Any) -> None:
    secret = create_token("owner", "--name", "laptop")
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    assert client.get("/api/v1/executions/").status_code == 200
    row = Token.objects.get()
    assert row.scopes == ["executions:read", "executions:report"]
    assert timedelta(days=89) < row.expires_at - timezone.now() < timedelta(days=91)


def test_a_token_without_end_is_requested(owner: Any) -> None:
    create_token("owner", "--expires", "never", *(f"--scope={scope}" for scope in Scope.values))
    row = Token.objects.get()
    assert (row.scopes, row.expires_at) == (Scope.values, None)


def test_scopes_and_expiry_are_what_was_asked_for(owner: Any) -> None:
    create_token("owner", "--scope", "executions:read", "--scope", "workflows:write", "--expires", "5d")
    row = Token.objects.get()
    assert row.scopes == ["executions:read", "workflows:write"]
    assert timedelta(days=4) < row.expires_at - timezone.now() < timedelta(days=6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody"], "There is no user named 'nobody'"),
        (["owner", "--scope", "everything"], "invalid choice"),
        (["owner", "--expires", "soon"], "expected a number of days such as 90d"),
    ],
)
def test_a_wrong_argument_is_a_sentence(owner: Any, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        create_token(*arguments)
    assert not Token.objects.exists()
