"""Names of workflows, nodes, edges, tags, saved views and tokens: Unicode NFC, visible, without line breaks and
bidirectional control characters."""

import unicodedata
from functools import reduce
from operator import or_

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Func
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ledgerkit.types import StrOrPromise

MAX_NORMALIZED = (
    1_020  # longest text that is normalised, which takes quadratic time; the longest name has a quarter of it
)
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ENDING = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories: control characters, surrogates, line separators
# Letters and signs without a glyph. Category Cf, such as U+200B, is invisible too, but a joiner is valid between
# visible characters, in a word or an emoji.
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
# The same as PostgreSQL regular expressions, for constraints.
REFUSED = r"[\u0001-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
CLEAN = """coalesce(
    nullif(btrim(left(normalize(regexp_replace({row}.{field}, '{refused}', '', 'g'), NFC), {most})), ''), '{fallback}'
)"""
CLEANED = """
UPDATE {table} AS mine SET {field} = {mine} || CASE WHEN EXISTS (
    SELECT FROM {table} AS other WHERE other.id <> mine.id AND {same} AND {other} = {mine}
) THEN ' ' || right(mine.id::text, 6) ELSE '' END
WHERE mine.{field} IS NOT NFC NORMALIZED OR mine.{field} ~ '{refused}'
"""

NOT_IN_A_NAME = _("{character} is not allowed in a name: remove the character at position {place}.")
INVISIBLE = _("{character} is invisible, and so is the rest of this name: add a visible character.")


class IsNFC(Func):
    template = "%(expressions)s IS NFC NORMALIZED"
    output_field = models.BooleanField()


def nfc(text: str) -> str:
    """Return the text in NFC, the form in which names are stored and compared. A text longer than any name is not
    changed."""
    return text if text.isascii() or len(text) > MAX_NORMALIZED else unicodedata.normalize("NFC", text)


def forms(text: str) -> list[str]:
    """Return the forms in which an equal-looking text may be stored: unchanged, NFC, NFD."""
    if text.isascii() or len(text) > MAX_NORMALIZED:
        return [text]
    return list(dict.fromkeys([text, nfc(text), unicodedata.normalize("NFD", text)]))


def contains(field: str, text: str) -> models.Q:
    """Return the condition that a field contains a text, in any Unicode form and case."""
    return reduce(or_, (models.Q(**{f"{field}__icontains": form}) for form in forms(text)))


def find_error(name: str) -> StrOrPromise:
    """Return the reason why a text is not a valid name; else nothing. The caller checks for an empty name."""
    for place, character in enumerate(name, 1):
        if character in BIDI or unicodedata.category(character) in ENDING:
            return format_lazy(NOT_IN_A_NAME, character=_describe_character(character), place=place)
    if not name or any(map(_is_seen, name)):
        return ""
    return format_lazy(INVISIBLE, character=_describe_character((name.strip() or name)[0]))


def check(field: str, name: object) -> None:
    """Raise ValidationError on `field` if find_error() returns an error."""
    if isinstance(name, str) and (found := find_error(name)):
        raise ValidationError({field: f"{field}: {found}"})


def constraint(field: str, name: str) -> models.CheckConstraint:
    """Return a check constraint on a name: in NFC, without forbidden characters."""
    return models.CheckConstraint(
        condition=models.Q(IsNFC(models.F(field))) & ~models.Q(**{f"{field}__regex": REFUSED}), name=name
    )


def cleaning_sql(table: str, field: str, fallback: str, *beside: str, most: int = 248) -> str:
    """Return SQL that makes the names of a table satisfy its constraint. A name must be unique within the columns
    `beside`: a duplicate gets a part of its id as suffix."""
    mine, other = (
        CLEAN.format(row=row, field=field, fallback=fallback, refused=REFUSED, most=most) for row in ("mine", "other")
    )
    same = " AND ".join([f"other.{name} IS NOT DISTINCT FROM mine.{name}" for name in beside] or ["false"])
    return CLEANED.format(table=table, field=field, mine=mine, other=other, same=same, refused=REFUSED)


def _describe_character(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip() if name else f"U+{ord(character):04X}"


def _is_seen(character: str) -> bool:
    return not (character.isspace() or character in UNSEEN or unicodedata.category(character) == "Cf")
