"""Masking of a run's secret values in everything that is stored about the run.

Every write passes `mask()`: save(), bulk_create(), update(), facts and the verbs. For verbs and new nodes whose texts
hold no new secret, `mask_by_known()` is enough. The encrypted values are in the run's own row
(`secrets/encryption.py`). They are an empty text after a purge: the run had secrets, nothing can be masked reliably any
more, and writes that carry text are refused.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Model

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.json_validation import to_storable_text
from ledgerkit.db.models import parse_uuid
from ledgerkit.db.pool import release_connection

from . import audit, text_limits
from .exceptions import SecretsUnknown
from .secrets import limits, masked_request_body
from .secrets.masked_request_body import MaskedBody
from .secrets.retention import run_rows
from .secrets.run_secrets import NONE, KnownOf, RunSecrets, Values, read_known, store_secrets, without_secrets
from .secrets.scrubber import MASK, Scrubber
from .secrets.values_by_key import find_secret_values

if TYPE_CHECKING:
    from .models import ExecutionLog
    from .models.attempt import Attempt
    from .models.base import Execution
    from .unsaved_log_lines import UnsavedLine

type RowOfRun = Execution | Attempt | ExecutionLog
type Fields = dict[str, object]
type Cut = Callable[[Fields], Fields]


@dataclass(slots=True)
class FieldValues:
    """Values that one row of a run is about to store, by field name, and the secrets already found in them."""

    run: UUID
    fields: dict[str, object]
    found: Set[str] = frozenset()


RUN = attrgetter("run")
MESSAGE = {"message"}  # the fields of a log line without data


def mask(
    pieces: Iterable[FieldValues],
    act: str,
    using: str | None = None,
    *,
    new: bool = False,
    known: KnownOf | None = None,
) -> tuple[Values, KnownOf]:
    """Mask the fields of each piece in place. Return the secrets that are new, and all known secrets, both by run.

    A `new` run has no stored secrets; its caller stores those that are found. `known` are secrets that the caller has
    read already. Raises SecretsUnknown if a run's secrets were deleted or cannot be decrypted.
    """
    pieces = [piece for piece in pieces if any(piece.fields.values())]
    extra, body = ledgerkit_settings.SECRET_KEYS_EXTRA, masked_request_body.current()
    found, places = _find_secrets(pieces, extra, body)
    runs = {run for run, _pieces in groupby(pieces, RUN)}  # thousands of lines usually belong to one run
    known = known if known is not None else {} if new else read_known(runs, act, using)
    more = {run: values for run in found if (values := found[run] - known.get(run, NONE).scrubber.values)}
    for run, values in more.items():
        limits.check_number(places.get(run, "context"), known.get(run, NONE).scrubber.values, values)
    known = {**known, **{run: RunSecrets(Scrubber(values, extra)) for run, values in more.items()}}
    if more and not new:
        known |= store_secrets(more, using)
    plain = without_secrets(extra)
    for run, of_run in groupby(pieces, RUN):
        _scrub_all(list(of_run), known.get(run, plain).scrubber, body)
    return more, known


def _find_secrets(
    pieces: Sequence[FieldValues], extra: tuple[str, ...], body: MaskedBody | None
) -> tuple[dict[UUID, set[str]], dict[UUID, str]]:
    """Return the secrets in the pieces, and the name of the first field with one, both by run. Adds to each piece what
    was found in it."""
    found: dict[UUID, set[str]] = defaultdict(set)
    places: dict[UUID, str] = {}
    taken: set[UUID] = set()
    for piece in pieces:
        for name, value in piece.fields.items():
            if not isinstance(value, str) and (secret := find_secret_values(value, extra)):
                limits.check_lengths(name, value, secret, extra)
                piece.found = piece.found | secret
                places.setdefault(piece.run, name)
        if piece.found:
            found[piece.run] |= piece.found
        if body and piece.run not in taken and (of_body := body.found_beside(piece.fields.values())):
            taken.add(piece.run)
            found[piece.run] |= of_body
            places.setdefault(piece.run, next(iter(piece.fields)))
    return found, places


def _scrub_all(pieces: list[FieldValues], scrubber: Scrubber, body: MaskedBody | None) -> None:
    """Mask the fields of the pieces of one run. One search in the texts of all log lines is enough for most calls."""
    fields = [piece.fields for piece in pieces]
    if len(fields) > 1 and body is None and scrubber.changes_none(_messages(fields)):
        fields = [each for each in fields if each.keys() != MESSAGE]
    for each in fields:
        _scrub(each, scrubber, body)


def _messages(lines: Iterable[Fields]) -> list[str]:
    """Return the texts of those log lines that have nothing else."""
    return [text for line in lines if len(line) == 1 and isinstance(text := line.get("message"), str)]


def mask_rows(
    rows: Sequence[RowOfRun],
    act: str,
    using: str | None = None,
    *,
    new: bool = False,
    known: KnownOf | None = None,
) -> Values:
    """Mask objects that are about to be saved, as mask() does. Each object keeps the secrets found in it, because a
    repeated save after a rollback finds only masks."""
    for row in rows:
        text_limits.replace_blank_error(row)
    names = {model: maskable_fields(model) for model in set(map(type, rows))}
    pieces = [_piece(row, names[type(row)]) for row in rows]
    more, _known_now = mask(pieces, act, using, new=new, known=known)
    for row, piece in zip(rows, pieces, strict=True):
        vars(row).update(piece.fields)
        if piece.found:
            row.found_secrets = piece.found
    return more


def mask_by_known(texts: Fields, known: RunSecrets) -> Fields | None:
    """Return the changed texts of a row, masked with the secrets of its run. None if a document among them may hold one
    that is not stored yet."""
    clean, body = dict(texts), masked_request_body.current()
    _scrub(clean, known.scrubber, body)
    if body and not body.found_beside(texts.values()) <= known.scrubber.values:
        return None
    # A document that needs no mask has no secret that is new either.
    changed = [text for name, text in texts.items() if not isinstance(text, str) and clean[name] != text]
    is_known = all(
        find_secret_values(document, ledgerkit_settings.SECRET_KEYS_EXTRA) <= known.scrubber.values
        for document in changed
    )
    return clean if is_known else None


def mask_all_by_known(rows: Sequence[Fields], known: RunSecrets) -> list[Fields] | None:
    """Return the texts of several rows of a run as mask_by_known() does; those of log lines that need no mask are
    returned as they are. One search in the texts of all log lines is enough for most calls."""
    has_clean_messages = len(rows) > 1 and known.scrubber.changes_none(_messages(rows))
    masked: list[Fields] = []
    for texts in rows:
        is_clean = not texts or (has_clean_messages and "message" in texts and len(texts) == 1)
        clean = texts if is_clean else mask_by_known(texts, known)
        if clean is None:
            return None
        masked.append(clean)
    return masked


def mask_changes(row: RowOfRun, texts: Fields, act: str, known: RunSecrets) -> tuple[Fields, RunSecrets]:
    """Return the masked texts of a change, and the secrets known after that. Secrets that are new are stored."""
    piece = FieldValues(run_of(row), dict(texts))
    _more, now = mask([piece], act, known={piece.run: known})
    return piece.fields, now.get(piece.run, known)


def masked_reason(scrubber: Scrubber) -> dict[str, str]:
    """Return what the audit note takes from a client: the actor's reason, masked and cut, and the request id if the
    client chose it."""
    actor = audit.current()
    reason, given = (text and scrubber.text(text) for text in (to_storable_text(actor.reason), actor.given_id))
    note = {"reason": text_limits.cut_to_limits("reason", reason)}
    return note | {"request_id": given} if given else note


def mask_for_all_runs(fields: Fields, runs: Iterable[UUID], using: str) -> Fields:
    """Mask one set of values with the secrets of several runs, given as a query of their ids."""
    if not any(find_secret_values(value, ledgerkit_settings.SECRET_KEYS_EXTRA) for value in fields.values()):
        with_secrets = run_rows(using).filter(pk__in=runs, encrypted_secrets__isnull=False)
        runs = with_secrets.values_list("pk", flat=True)
    pieces = [FieldValues(run, dict(fields)) for run in runs]
    mask(pieces, "update", using)
    fields = dict(fields)
    plain = without_secrets(ledgerkit_settings.SECRET_KEYS_EXTRA)
    for known in (*read_known({piece.run for piece in pieces}, "update", using).values(), plain):
        _scrub(fields, known.scrubber)
    return fields


def mask_or_hide(texts: Fields, runs: Iterable[UUID], using: str) -> Fields:
    """Mask texts with the secrets of several runs. If those of one are unknown, a mask takes the place of each text."""
    try:
        return mask_for_all_runs(texts, runs, using)
    except SecretsUnknown:
        return {name: MASK if text else text for name, text in texts.items()}


def mask_reason(reason: str, runs: Iterable[UUID], using: str = DEFAULT_DB_ALIAS) -> str:
    """Mask a reason with the secrets of several runs. If those of a run are unknown, nothing of it is kept."""
    return str(mask_or_hide({"reason": to_storable_text(reason)}, runs, using)["reason"])


@lru_cache(32)
def maskable_fields(model: type[Model]) -> frozenset[str]:
    """Return the names of a model's text and JSON fields."""
    kinds = (models.JSONField, models.TextField)
    names = (field.attname for field in model._meta.concrete_fields if isinstance(field, kinds))
    return frozenset(names) - {"encrypted_secrets"}


def note_of_new(found: Iterable[str]) -> str:
    """Return the audit note for creating runs. The reason, and a request id that the client chose, are masked with the
    runs' secrets."""
    if not audit.current().has_text:
        return audit.current().note(act="create")
    scrubber = Scrubber(found, ledgerkit_settings.SECRET_KEYS_EXTRA)
    return audit.current().note(act="create", **masked_reason(scrubber))


def as_stored(row: RowOfRun, fields: Fields, cut: Cut = lambda fields: fields) -> Iterator[tuple[Model, Fields]]:
    """Yield pairs (row, fields) to compare: the row was created from these fields if any pair is equal. Yields none if
    the fields contain a secret that the run does not know. `cut` is the shortening that storing applies.

    Not comparable: values that are too short to be masked, which of several secrets a mask replaced, and any masked
    value once the run's secrets are deleted or cannot be decrypted.
    """
    extra = ledgerkit_settings.SECRET_KEYS_EXTRA
    if body := masked_request_body.current():
        fields = body.originals(fields)
    found = {value for document in fields.values() for value in find_secret_values(document, extra)}
    try:
        known = read_known({row.run_id}, "compare", None).get(row.run_id, NONE).scrubber.values
    except SecretsUnknown:
        known = frozenset(found)
    if body:
        release_connection()
    if not known >= {*Scrubber(found).values}:
        return
    now, first = Scrubber(known, extra), Scrubber(found, extra)
    yield row, cut(_clear(fields, now))
    # A secret may have been stored for the run since; both then contain it unmasked.
    today = copy(row)
    vars(today).update(_clear({name: getattr(row, name) for name in fields}, now))
    yield today, _clear(cut(_clear(fields, first)), now)


def _clear(fields: Fields, scrubber: Scrubber) -> Fields:
    return {name: scrubber.document(document) for name, document in fields.items()}


def _piece(row: RowOfRun, names: Iterable[str]) -> FieldValues:
    values = vars(row)
    fields = {name: value for name in names if (value := values.get(name))}
    return FieldValues(run_of(row), fields, row.found_secrets)


def run_of(row: "RowOfRun | UnsavedLine") -> UUID:
    """Return the id of the row's run as a UUID. It may have been assigned as text; the database refuses an invalid
    one."""
    run = row.run_id
    return run if type(run) is UUID else parse_uuid(run) or run


def _scrub(fields: dict[str, object], scrubber: Scrubber, body: MaskedBody | None = None) -> None:
    """Mask the fields in place. Parts of a masked request body that are clear already are not masked again."""
    for name, value in fields.items():
        if not value or (not isinstance(value, (str, dict, list)) and hasattr(value, "resolve_expression")):
            continue
        if name in text_limits.ERRORS and isinstance(value, str):
            text = to_storable_text(value)
            is_clear = body and body.is_clear(text, scrubber)
            fields[name] = text_limits.cut_to_limits(name, text if is_clear else scrubber.text(text))
        elif not (body and body.is_clear(value, scrubber)):
            fields[name] = scrubber.document(value)
