"""Translate what a bulk action stored in English, for the language of the page: the answer for each run, and why the
action stopped. Every text that it stores is one of the templates below; a test looks for those that are missing."""

import re
from collections.abc import Iterable
from functools import cache
from types import ModuleType

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from executions import exceptions, refusal_reasons, rerun, validators
from ledgerkit.db import json_validation
from ledgerkit.db.exceptions import in_english
from ledgerkit.db.models import parse_uuid
from workflows import input_schemas

from .bulk_verbs import KEPT, NOT_KEPT
from .runner import FAILED, NEW_RUN, NO_RIGHT, NOBODY, RUN_DELETED

FIELD = re.compile(r"\\{(\w+)\\}")
FAULT_OF_DOCUMENT = "{place}: {document_fault}"  # no words to translate
STORED = (RUN_DELETED, NOT_KEPT, KEPT, NEW_RUN, FAILED, NOBODY, NO_RIGHT)

type Template = tuple[re.Pattern[str], object]


def translate_answer(answer: str) -> str:
    """Return a stored text in the active language, line by line. What is no sentence of ours stays as it is."""
    return "\n".join(_translate(line, "") for line in answer.split("\n"))  # a name has no line breaks


def find_new_run(answer: str) -> str | None:
    """Return the id of the new run that the answer names."""
    found = _pattern(NEW_RUN).fullmatch(answer)
    return found["id"] if found and parse_uuid(found["id"]) else None


def _translate(text: str, field: str) -> str:
    templates = _templates()
    for pattern, template in templates[field]:
        if found := pattern.fullmatch(text):
            groups = found.groupdict().items()
            shown = {name: _translate(part, name) if name in templates else part for name, part in groups}
            return str(template).format(**shown)
    return text


@cache
def _templates() -> dict[str, list[Template]]:
    """Return the templates of whole texts, and of those of their fields that are sentences of ours too; the other
    fields are names and numbers."""
    refused = (exceptions.REFUSED_BECAUSE, exceptions.REFUSED)
    stored = [gettext_lazy(text) for text in STORED]
    of_documents = [*_promises(json_validation), *_promises(validators)]
    of_input = [text for text in _promises(input_schemas) if text is not input_schemas.FAULT]
    whole = [*refused, *stored, *_promises(rerun), input_schemas.FAULT, *_promises(validators), FAULT_OF_DOCUMENT]
    return {
        "": _compile(whole),
        "act": _compile(exceptions.ACTS.values()),
        "state": _compile(exceptions.STATUS_LABELS.values()),
        "reason": _compile([exceptions.WAITS_FOR, *_promises(refusal_reasons)]),
        "fault": _compile([*of_input, *of_documents]),
        "document_fault": _compile(of_documents),
    }


def _promises(module: ModuleType) -> list[Promise]:
    return [text for text in vars(module).values() if isinstance(text, Promise)]


def _compile(templates: Iterable[object]) -> list[Template]:
    return [(_pattern(each), each) for each in templates]


def _pattern(template: object) -> re.Pattern[str]:
    """Return a pattern of the English text of the template."""
    return re.compile(FIELD.sub(r"(?P<\1>.*?)", re.escape(in_english(template))))
