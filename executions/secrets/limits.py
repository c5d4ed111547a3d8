"""Limits on the number and length of a run's secrets: each text of the run is searched for all of them."""

from collections.abc import Iterable, Iterator, Set

from django.core.exceptions import ValidationError

from executions.conf import executions_settings
from workflows.secret_keys import hidden_in, hidden_items, should_mask

TOO_LONG = (
    "{place}: a secret has at most {most} characters (EXECUTIONS['SECRETS_MAX_LENGTH']), and this one has "
    "{size}: leave it out."
)
TOO_MANY = (
    "{place}: a run has at most {most} secrets, counting each line of one (EXECUTIONS['SECRETS_MAX']), and with these "
    "it has {size}: leave some out, or move values that are not secret to keys that do not name one."
)
TOO_LARGE = (
    "{place}: the secrets of a run have at most {most} characters in all (EXECUTIONS['SECRETS_MAX_CHARACTERS']), and "
    "with these they have {size}: leave some out."
)


def check_lengths(field: str, document: object, found: Iterable[str], extra: tuple[str, ...]) -> None:
    """Raise ValidationError on `field`, naming the place, if one of the secrets found in it is too long."""
    most = executions_settings.SECRETS_MAX_LENGTH
    if all(len(value) <= most for value in found):
        return
    for place, text in _hidden_texts(document, extra, field):
        if len(text) > most:
            raise ValidationError({field: TOO_LONG.format(place=place, most=most, size=len(text))})


def check_number(field: str, known: Set[str], more: Set[str]) -> None:
    """Raise ValidationError on `field` if the run would have too many secrets with these `more`."""
    values = known | more
    size, most = len(values), executions_settings.SECRETS_MAX
    length, longest = sum(map(len, values)), executions_settings.SECRETS_MAX_CHARACTERS
    if size > most:
        raise ValidationError({field: TOO_MANY.format(place=field, most=most, size=size)})
    if length > longest:
        raise ValidationError({field: TOO_LARGE.format(place=field, most=longest, size=length)})


def _hidden_texts(
    document: object, extra: tuple[str, ...], place: str, hidden: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield the texts under keys that name a secret, with the place of each."""
    if hidden and isinstance(document, str | int | float):
        yield place, str(document)
    elif isinstance(document, dict):
        more = hidden_in(document, extra)
        for key, item in document.items():
            yield from _hidden_texts(
                item, extra, f"{place}.{str(key)[:100]}", hidden or key in more or should_mask(key, item, extra)
            )
    elif isinstance(document, list | tuple):
        places = hidden_items(document, extra)
        for index, item in enumerate(document):
            yield from _hidden_texts(item, extra, f"{place}[{index}]", hidden or index in places)
