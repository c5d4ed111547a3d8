"""Users of the tests about permissions, each a fixture."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from tokens.models import Scope, Token
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

User = get_user_model()


def permissions(*codenames: str) -> Any:
    return Permission.objects.filter(
        codename__in=codenames, content_type__app_label__in=["alerts", "executions", "workflows", "tokens"]
    )


@pytest.fixture
def owner(db: None) -> Any:
    """Return the owner of `workflow`, who is not staff."""
    return UserFactory(username="owner")


@pytest.fixture
def stranger(db: None) -> Any:
    """Return a user without any right to `workflow`."""
    return UserFactory(username="stranger")


@pytest.fixture
def teammate(db: None) -> Any:
    """Return staff who may view everything and change nothing."""
    user = UserFactory(username="teammate", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return User.objects.get(pk=user.pk)  # anew: permissions are cached on the object


@pytest.fixture
def newcomer(db: None) -> Any:
    """Return staff without any permission."""
    return UserFactory(username="newcomer", is_staff=True)


@pytest.fixture
def staff(db: None) -> Any:
    """Return staff with every permission."""
    return UserFactory(username="staff", is_staff=True, is_superuser=True)


@pytest.fixture
def workflow(owner: Any) -> Workflow:
    """Return the workflow fetch → rank → report, of `owner`."""
    return WorkflowFactory(owner=owner, name="momentum", chain=["fetch", "rank", "report"])


@pytest.fixture
def api() -> Callable[..., APIClient]:
    """Return a function: `api(owner)` has a token of every scope, `api(owner, scopes=[...])` of these, `api()` none."""

    def client(user: Any = None, scopes: list[str] | None = None, used: bool = True, **fields: Any) -> APIClient:
        client = APIClient()
        if user is not None:
            _row, secret = Token.objects.issue(user=user, name="test", scopes=scopes or list(Scope.values), **fields)
            if used:
                Token.objects.authenticate(secret)
            client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
        return client

    return client


@pytest.fixture
def engine(api: Callable[..., APIClient], owner: Any) -> APIClient:
    """Return a client with a token of `owner`, as an engine has it."""
    return api(owner)
