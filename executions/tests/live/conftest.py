"""A run, and a token that may follow it."""

from typing import Any

import pytest

from executions.models import WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory, in_state
from tokens.models import Scope, Token


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=workflow), "running")


@pytest.fixture
def token(owner: Any) -> tuple[Token, str]:
    return Token.objects.issue(user=owner, name="live", scopes=[Scope.EXECUTIONS_READ])
