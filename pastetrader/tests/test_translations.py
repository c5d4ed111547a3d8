"""The Korean catalogues: complete, true to the sources, and compiled."""

import os
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.utils import translation
from django.utils.translation import gettext, ngettext, npgettext, pgettext

from pastetrader import translations

from . import gettext_files

PLACEHOLDERS = re.compile(r"%\(\w+\)[a-z]|%[.\d]*[a-z%]|\{\w*\}")
TAGS = re.compile(r"</?[a-z][^>]*>")
HANGUL = re.compile("[가-힣]")
# What is the same in both languages: names and units.
SAME = {"API", "SQL", "JSON lines", "Id", "id", "%d ms", "p50:", "p95:", "over %(number)s", " By %(filter_title)s "}


@pytest.fixture(scope="module")
def catalogue_entries() -> list[gettext_files.Entry]:
    written = [*translations.catalogue_paths(), translations.scripts_catalogue_path()]
    return [entry for po in written for entry in gettext_files.entries(po)]


@pytest.fixture(scope="module")
def fresh() -> Iterator[dict[Path, Path]]:
    """Yield the catalogues made of the sources, by the path of the committed one."""
    try:
        with translations.extract() as made:
            yield made
    except translations.ToolsMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


def test_every_string_is_translated(catalogue_entries: list[gettext_files.Entry]) -> None:
    assert [entry.key for entry in catalogue_entries if not all(entry.translations)] == []


def test_no_translation_is_a_guess(catalogue_entries: list[gettext_files.Entry]) -> None:
    assert [entry.key for entry in catalogue_entries if "fuzzy" in entry.flags] == []


def test_what_is_counted_has_its_plural_form(catalogue_entries: list[gettext_files.Entry]) -> None:
    """Korean has one."""
    assert [entry.key for entry in catalogue_entries if entry.is_plural != ("msgstr[0]" in entry.texts)] == []
    assert [entry.key for entry in catalogue_entries if len(entry.translations) != 1] == []


def test_a_translation_has_the_placeholders_of_its_original(catalogue_entries: list[gettext_files.Entry]) -> None:
    """Also those of a plural, in any order."""

    def found(text: str) -> list[str]:
        return sorted(PLACEHOLDERS.findall(text))

    assert [
        e.key for e in catalogue_entries if any(found(e.originals[-1]) != found(text) for text in e.translations)
    ] == []


def test_a_translation_has_the_tags_of_its_original(catalogue_entries: list[gettext_files.Entry]) -> None:
    def found(text: str) -> list[str]:
        return sorted(TAGS.findall(text))

    assert [
        e.key for e in catalogue_entries if any(found(e.originals[-1]) != found(text) for text in e.translations)
    ] == []


def test_a_translation_is_korean(catalogue_entries: list[gettext_files.Entry]) -> None:
    """But for formats without a word of their own."""
    wordy = [entry for entry in catalogue_entries if re.search("[A-Za-z]", PLACEHOLDERS.sub("", entry.texts["msgid"]))]
    same = {entry.key[1] for entry in wordy if not HANGUL.search("".join(entry.translations))}
    assert same <= SAME, "translate these, or say in SAME that they are the same in both languages"


def test_a_sentence_ends_as_its_original_does(catalogue_entries: list[gettext_files.Entry]) -> None:
    """One that is a sentence in English is one in Korean too."""
    ends = [entry for entry in catalogue_entries if entry.texts["msgid"].endswith(".")]
    assert [e.key[1] for e in ends if not e.translations[0].endswith(".")] == []


@pytest.mark.slow
def test_each_catalogue_has_the_strings_of_its_sources_and_no_others(fresh: dict[Path, Path]) -> None:
    for catalogue_entries, made in fresh.items():
        there, wanted = _keys(catalogue_entries), _keys(made)
        assert wanted - there == set(), f"{catalogue_entries}: run `make messages` and translate them"
        assert there - wanted == set(), f"{catalogue_entries}: run `make messages`, which removes them"


def test_django_shows_the_translation_of_the_catalogue(catalogue_entries: list[gettext_files.Entry]) -> None:
    """A string that Django or another app translates otherwise needs a context of its own."""
    with translation.override("ko"):
        hidden = {entry.key for entry in catalogue_entries if _label_of(entry) != entry.translations[0]}
    assert hidden <= _keys(translations.scripts_catalogue_path())


def _label_of(entry: gettext_files.Entry) -> str:
    context, singular, plural = entry.key
    if plural:
        return npgettext(context, singular, plural, 1) if context else ngettext(singular, plural, 1)
    return pgettext(context, singular) if context else gettext(singular)


def _keys(po: Path) -> set[tuple[str, str, str]]:
    return {entry.key for entry in gettext_files.entries(po)}


def test_what_django_s_own_scripts_say_is_korean_too(staff: Any, client: Client) -> None:
    """The picker of dates, and the note that the server's clock is another one."""
    theirs = Path(admin.__path__[0], "locale", *translations.PO.parts[1:]).with_name("djangojs.po")
    lacking = {entry.texts["msgid"] for entry in gettext_files.entries(theirs) if not all(entry.translations)}
    assert lacking == {entry.texts["msgid"] for entry in gettext_files.entries(translations.scripts_catalogue_path())}
    client.force_login(staff)
    spoken = client.get("/admin/jsi18n/", headers={"Accept-Language": "ko"}).content.decode()
    assert '"Today (%(date)s)": "\\uc624\\ub298 (%(date)s)"' in spoken


@pytest.mark.slow
@pytest.mark.parametrize(
    "po",
    [*translations.catalogue_paths(), translations.scripts_catalogue_path()],
    ids=lambda po: f"{po.parts[-5]}-{po.stem}",
)
def test_what_is_compiled_is_what_is_written(po: Path, fresh: dict[Path, Path], tmp_path: Path) -> None:
    """Installing needs no gettext: both are kept."""
    translations.compile_to(po, tmp_path / "compiled.mo")
    assert _spoken(tmp_path / "compiled.mo") == _spoken(po.with_suffix(".mo")), "run `make messages`"


def _spoken(mo: Path) -> dict[Any, str]:
    with mo.open("rb") as file:
        catalogue: Any = GNUTranslations(file)
    return dict(catalogue._catalog)


@pytest.mark.parametrize(
    ("english", "korean", "fault"),
    [
        ("%(count)d rows", "행 %(number)d개", "placeholders"),
        ("{count} rows", "행 {number}개", "placeholders"),
        ("%s rows", "행", "placeholders"),
        ('<a href="x">rows</a>', "행", "tags"),
    ],
)
def test_a_fault_would_be_seen(english: str, korean: str, fault: str) -> None:
    entry = gettext_files.Entry(texts={"msgid": english, "msgstr": korean})
    check = globals()[f"test_a_translation_has_the_{fault}_of_its_original"]
    with pytest.raises(AssertionError):
        check([entry])
