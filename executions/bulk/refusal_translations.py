"""Translate the reasons why a bulk action refused runs: stored in English, shown in the language of the page."""

import re
from functools import cache

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from executions import exceptions, refusal_reasons
from ledgerkit.db.exceptions import in_english

from .bulk_verbs import KEPT, NOT_KEPT
from .runner import RUN_DELETED

FIELD = re.compile(r"\\{(\w+)\\}")
PARTS = {"act", "state", "reason"}  # fields that are sentences of ours; others are names and numbers


def translate_answer(answer: str) -> str:
    """Return a stored reason in the active language. What is no sentence of ours stays as it is."""
    for pattern, template in _templates():
        if found := pattern.fullmatch(answer):
            shown = {
                name: translate_answer(text) if name in PARTS else text for name, text in found.groupdict().items()
            }
            return str(template).format(**shown)
    return answer


@cache
def _templates() -> list[tuple[re.Pattern[str], object]]:
    """Return the texts of which a reason is made, each with a pattern of its English."""
    reasons = [text for text in vars(refusal_reasons).values() if isinstance(text, Promise)]
    own = [gettext_lazy(text) for text in (RUN_DELETED, NOT_KEPT, KEPT)]
    labels = [*exceptions.ACTS.values(), *exceptions.STATUS_LABELS.values()]
    templates = [exceptions.REFUSED_BECAUSE, exceptions.REFUSED, exceptions.WAITS_FOR, *own, *reasons, *labels]
    return [(re.compile(FIELD.sub(r"(?P<\1>.+?)", re.escape(in_english(each))), re.DOTALL), each) for each in templates]
