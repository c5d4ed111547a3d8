"""The reasons for which runs were refused, in the language of the page."""

from uuid import UUID

import pytest
from django.utils import translation

from executions import refusal_reasons
from executions.bulk import refusal_translations
from executions.bulk.bulk_verbs import KEPT, NOT_KEPT
from executions.bulk.runner import RUN_DELETED
from executions.exceptions import InvalidTransition, QueuedExecution
from executions.states import ExecutionStatus

REFUSALS = [
    InvalidTransition("cancel", ExecutionStatus.COMPLETED),
    InvalidTransition("retry", "failed", refusal_reasons.node_out_of_retries("retry {now}", 3, {"max_retries": 3})),
    InvalidTransition("start", "pending", refusal_reasons.run_is(ExecutionStatus.FAILED, "start")),
    InvalidTransition("delete", "running", refusal_reasons.CANCEL_FIRST),
    QueuedExecution("start", "pending", UUID(int=7)),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_a_verb_refused_is_in_the_language_of_the_page(refusal: InvalidTransition) -> None:
    with translation.override("ko"):
        assert refusal_translations.translate_answer(str(refusal)) == str(refusal.sentence) != str(refusal)
    with translation.override("en"):
        assert refusal_translations.translate_answer(str(refusal)) == str(refusal)


@pytest.mark.parametrize("answer", [RUN_DELETED, KEPT, NOT_KEPT])
def test_a_refusal_of_the_action_is_in_the_language_of_the_page(answer: str) -> None:
    with translation.override("ko"):
        assert refusal_translations.translate_answer(answer) not in {answer, ""}


@pytest.mark.parametrize("answer", ["", "Expected a number; found {x}.", "Cannot do that", "%s {0} {act"])
def test_any_other_text_stays_as_it_is(answer: str) -> None:
    with translation.override("ko"):
        assert refusal_translations.translate_answer(answer) == answer
