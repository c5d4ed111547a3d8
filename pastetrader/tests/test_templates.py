"""Templates contain no text but that of gettext."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from . import untranslated_text

FOLDERS = [
    Path(settings.BASE_DIR, app, "templates")
    for app in ("", "alerts", "executions", "workflows", "tokens", "ledgerkit")
]
TEMPLATES = sorted(path for folder in FOLDERS for path in folder.rglob("*.html"))
# Said by gettext, or no text: tags, variables, what is translated as a block, comments, and blocks of class names.
BLOCKS = re.compile(
    r"{% *(?P<block>blocktranslate|comment)\b.*?{% *end(?P=block) *%}"
    r"|{% block bodyclass %}.*?{% endblock %}|{%.*?%}|{{.*?}}|{#.*?#}",
    re.DOTALL,
)
# Names, which are no words of a language; and the page of the API's documentation, which is in English as the API is.
NAMES = re.compile(r"\bp50\b|\bp95\b|\bAPI\b|PasteTrader")
ENGLISH = {"api/docs.html"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_no_word_stands_outside_of_gettext(path: Path) -> None:
    if str(path).endswith(tuple(ENGLISH)):
        return
    assert bare(path.read_text()) == []


def test_every_time_of_day_is_shown_by_the_filter_that_tells_doubled_hours_apart() -> None:
    dated = re.compile(r'\|date:"[^"]*[HhGgisuPAa][^"]*"')
    assert [path.name for path in TEMPLATES if dated.search(path.read_text())] == []


@pytest.mark.parametrize(
    "template",
    [
        "<p>Nothing here</p>",
        '<a title="Next page" href="?"></a>',
        '<p>{% translate "Home" %} page</p>',
        '<input type="submit" value="Go">',
    ],
)
def test_a_bare_word_would_be_seen(template: str) -> None:
    assert bare(template) != []


def bare(template: str) -> list[str]:
    return untranslated_text.latin(untranslated_text.texts(BLOCKS.sub("", template)), NAMES)
