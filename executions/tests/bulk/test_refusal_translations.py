"""The texts that a bulk action stored, in the language of the page."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation
from django.utils.text import format_lazy

import executions
from executions import refusal_reasons, rerun
from executions.bulk import bulk_verbs, refusal_translations, runner
from executions.bulk.refusal_translations import STORED
from executions.exceptions import InvalidTransition, QueuedExecution
from executions.states import ExecutionStatus
from ledgerkit.db import json_validation
from ledgerkit.db.exceptions import in_english
from workflows import input_schemas

SCHEMA = {
    "required": ["day"],
    "properties": {"days": {"minimum": 1}, "mode": {"enum": ["a", "b"]}},
    "additionalProperties": False,
}
REASON = "Cannot cancel execution in failed state: {}"
FAULT = "input_data.day: {} (input schema of the node “load”)"
REFUSING = {"InvalidTransition", "StaleExecution", "FencedExecution", "SecretsUnknown", "ConcurrentExecution"}
REFUSALS = [
    InvalidTransition("cancel", ExecutionStatus.COMPLETED),
    InvalidTransition("retry", "failed", refusal_reasons.node_out_of_retries("retry {now}", 3, {"max_retries": 3})),
    InvalidTransition("start", "pending", refusal_reasons.run_is(ExecutionStatus.FAILED, "start")),
    InvalidTransition("delete", "running", refusal_reasons.CANCEL_FIRST),
    InvalidTransition("complete", "running", refusal_reasons.still_running(1)),
    InvalidTransition("complete", "running", refusal_reasons.still_running(3)),
    QueuedExecution("start", "pending", UUID(int=7)),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_a_verb_refused_is_in_the_language_of_the_page(refusal: InvalidTransition) -> None:
    with translation.override("ko"):
        assert refusal_translations.translate_answer(str(refusal)) == str(refusal.sentence) != str(refusal)
    with translation.override("en"):
        assert refusal_translations.translate_answer(str(refusal)) == str(refusal)


@pytest.mark.parametrize("answer", [*STORED, *map(in_english, (rerun.INACTIVE, rerun.MASKED))])
def test_what_the_action_stores_is_in_the_language_of_the_page(answer: str) -> None:
    with translation.override("ko"):
        assert refusal_translations.translate_answer(answer) not in {answer, ""}


def test_faults_of_an_input_are_each_in_the_language_of_the_page() -> None:
    faults = [
        format_lazy(input_schemas.FAULT, place=place, fault=fault, node="load (raw)")
        for place, fault in input_schemas.find_faults(SCHEMA, {"days": 0, "mode": "fast: now", "extra": 1})
    ]
    faults.append(format_lazy(input_schemas.FAULT, place="", fault=input_schemas.FORBIDDEN, node="load"))
    answer = runner.join_faults(ValidationError(faults))
    with translation.override("ko"):
        assert refusal_translations.translate_answer(answer) == "\n".join(map(str, faults)) != answer
    assert len(faults) == 5


def test_a_fault_of_a_stored_document_is_in_the_language_of_the_page() -> None:
    with pytest.raises(ValidationError) as error:
        json_validation.check("input_data", {"a": {"b": "\x00"}})
    answer = runner.join_faults(error.value)
    with translation.override("ko"):
        assert refusal_translations.translate_answer(answer) == f"input_data.a.b: {json_validation.NUL}" != answer


def test_faults_that_are_too_long_are_cut_at_a_line() -> None:
    assert runner.join_faults(ValidationError(["a" * 600, "b" * 399, "c"])) == "a" * 600 + "\n" + "b" * 399
    assert runner.join_faults(ValidationError(["a\nb" * 600])) == ("a b" * 600)[:1_000]


def sentences_in(module: ModuleType) -> list[str]:
    """Return the texts in the code of the module that are words and no docstring, except those of Verb(...) and of
    the server's log."""
    tree = ast.parse(Path(str(module.__file__)).read_text())
    left_out: set[ast.AST] = {each.value for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    left_out |= {each for each in ast.walk(tree) if isinstance(each, ast.Call) and ast.unparse(each.func) == "Verb"}
    inside = {id(each) for node in left_out for each in ast.walk(node)}
    return sentences_of(each for each in ast.walk(tree) if id(each) not in inside)


def sentences_of(nodes: Iterable[ast.AST]) -> list[str]:
    texts = [each.value for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return [text for text in texts if re.search(r"[a-z]+ [a-z]+", text)]


@pytest.mark.parametrize("module", [runner, bulk_verbs, rerun, input_schemas, refusal_reasons], ids=str)
def test_every_sentence_of_the_modules_that_refuse_can_be_translated(module: ModuleType) -> None:
    """Fail for a new reason in none of the templates. A reason in `refusal_reasons`, and a fault of an input, is a
    part of another sentence."""
    shown = {refusal_reasons: REASON, input_schemas: FAULT}.get(module, "{}").format
    sentences = sentences_in(module)
    assert sentences
    with translation.override("ko"):
        for each in sentences:
            template = each if each == in_english(input_schemas.FAULT) else shown(each)
            found = refusal_translations.translate_answer(template)
            assert each not in found, each


@pytest.mark.parametrize("text", ['raise Refused("It is away.")', 'GONE = "it is gone"', 'return x, f"It is {x} now"'])
def test_a_sentence_that_nobody_translated_is_found(text: str, tmp_path: Path) -> None:
    module = ModuleType("new")
    module.__file__ = str(tmp_path / "new.py")
    Path(module.__file__).write_text(text)
    (sentence,) = sentences_in(module)
    with translation.override("ko"):
        assert refusal_translations.translate_answer(sentence) == sentence


def test_the_reason_of_every_refused_transition_is_one_of_the_reasons() -> None:
    """Fail for a text in place of a constant: it could not be translated."""
    for path in Path(executions.__path__[0]).rglob("*.py"):
        if "tests" in path.parts:
            continue
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in REFUSING and len(call.args) > 2:
                assert not sentences_of(ast.walk(call.args[2])), path


@pytest.mark.parametrize("answer", ["", "Expected a number; found {x}.", "Cannot do that", "%s {0} {act", "a: b is c"])
def test_any_other_text_stays_as_it_is(answer: str) -> None:
    with translation.override("ko"):
        assert refusal_translations.translate_answer(answer) == answer
