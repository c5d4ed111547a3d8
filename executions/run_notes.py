"""Notes of people on a run. Each change adds a row (models/run_note.py), so that the activity has every version. The
run is locked meanwhile: it gets no other secret, and its notes no other number."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Case, Sum, When
from django.utils.translation import gettext_lazy as _

from executions import audit, limits, masking
from executions.exceptions import SecretsUnknown
from executions.models import NoteAct, RunNote, WorkflowExecution
from ledgerkit.db import json_validation
from workflows.querysets import User
from workflows.secret_keys import MASK

MAX_NOTE_LENGTH = 4_000  # characters
BLANK = _("Write something: the note is empty.")
TOO_LONG = _("A note has at most %(most)d characters, and this one has %(number)d: shorten it.")
TOO_MANY = _("This run has %(most)d notes and changes of notes already. No more are stored: write elsewhere.")
NOTE_DELETED = _("This note is no longer there: read the notes again.")
ADMINISTRATOR = "executions.delete_runnote"


class NoteGone(Exception):
    """The run has no such note, or it was removed."""

    def __init__(self) -> None:
        self.sentence = NOTE_DELETED
        super().__init__(str(NOTE_DELETED))


@dataclass(frozen=True)
class Note:
    """A note as it is now. `written_by` names the user, or the token; `edited_at` is None if it was never edited."""

    number: int
    text: str
    user_id: str
    written_by: str
    written_at: datetime
    edited_by: str = ""
    edited_at: datetime | None = None

    def is_changed_by(self, user: User) -> bool:
        """Return whether the user may change it: its author, or an administrator."""
        return (bool(self.user_id) and self.user_id == str(user.pk)) or user.has_perm(ADMINISTRATOR)


def notes_of(run: UUID) -> list[Note]:
    """Return the notes of a run, the oldest first, with one query."""
    found: dict[int, list[RunNote]] = {}
    for version in RunNote.objects.filter(workflow_execution=run).order_by("number", "id"):
        found.setdefault(version.number, []).append(version)
    return [_note(versions) for versions in found.values() if versions[-1].act != NoteAct.REMOVE]


def note_of(run: UUID, number: int) -> Note:
    """Return one note. Raises NoteGone."""
    versions = list(RunNote.objects.filter(workflow_execution=run, number=number).order_by("id"))
    if not versions or versions[-1].act == NoteAct.REMOVE:
        raise NoteGone
    return _note(versions)


def count_notes(runs: Collection[UUID]) -> dict[UUID, int]:
    """Return the numbers of notes of those of the runs that have some, with one query."""
    change = Case(When(act=NoteAct.WRITE, then=1), When(act=NoteAct.REMOVE, then=-1), default=0)
    rows = RunNote.objects.filter(workflow_execution__in=runs).order_by().values_list("workflow_execution")
    return {run: number for run, number in rows.annotate(number=Sum(change)) if number}


def write(run: UUID, text: str) -> Note:
    """Add a note to the run. Raises ValidationError, and DoesNotExist if the run is gone."""
    text = check_text(text)
    with transaction.atomic():
        versions = _lock(run)
        _check_number(versions)
        number = max((version.number for version in versions), default=0) + 1
        return _note([_add(run, number, NoteAct.WRITE, text)])


def edit(run: UUID, number: int, text: str) -> Note:
    """Replace the text of a note. Raises ValidationError and NoteGone."""
    text = check_text(text)
    with transaction.atomic():
        everything = _lock(run)
        versions = _versions_of(everything, number)
        _check_number(everything)
        return _note([*versions, _add(run, number, NoteAct.EDIT, text)])


def remove(run: UUID, number: int) -> None:
    """Remove a note. Its versions stay in the activity until the run is deleted. Raises NoteGone."""
    with transaction.atomic():
        _versions_of(_lock(run), number)
        _add(run, number, NoteAct.REMOVE, "")


def check_text(text: str) -> str:
    """Return the text as it can be stored. Raises ValidationError for one that is empty or too long."""
    text = json_validation.to_storable_text(text.replace("\r\n", "\n").strip())
    if not text:
        raise ValidationError({"text": BLANK}, code="required")
    if len(text) > MAX_NOTE_LENGTH:
        known = {"most": MAX_NOTE_LENGTH, "number": len(text)}
        raise ValidationError({"text": ValidationError(TOO_LONG, code="max_length", params=known)})
    return text


def _lock(run: UUID) -> list[RunNote]:
    """Lock the run, and return the versions of its notes."""
    WorkflowExecution.objects.select_for_update(no_key=True).only("pk").get(pk=run)
    return list(RunNote.objects.filter(workflow_execution=run).order_by("number", "id"))


def _check_number(versions: list[RunNote]) -> None:
    if len(versions) >= limits.NOTE_VERSIONS:
        known = {"most": limits.NOTE_VERSIONS}
        raise ValidationError({"text": ValidationError(TOO_MANY, code="too_many", params=known)})


def _versions_of(versions: list[RunNote], number: int) -> list[RunNote]:
    found = [version for version in versions if version.number == number]
    if not found or found[-1].act == NoteAct.REMOVE:
        raise NoteGone
    return found


def _add(run: UUID, number: int, act: NoteAct, text: str) -> RunNote:
    """Add a version in the name of the current actor. The text, and a request id that the client chose, are masked."""
    actor = audit.current()
    given: masking.Fields = {"reason": text, "request_id": actor.request_id}
    masked = _mask(given, run) if text or actor.given_id else given
    columns = actor.columns() | {
        "reason": str(masked["reason"])[:MAX_NOTE_LENGTH], "request_id": str(masked["request_id"]),
    }  # fmt: skip
    row = RunNote(workflow_execution_id=run, number=number, act=act, **columns)
    row.save(force_insert=True)
    row.refresh_from_db(fields=["happened_at"])
    return row


def _mask(given: masking.Fields, run: UUID) -> masking.Fields:
    """Mask the fields. A removal has no text, and succeeds even if the run's secrets are unknown."""
    try:
        return masking.mask_for_all_runs(given, [run], DEFAULT_DB_ALIAS)
    except SecretsUnknown:
        if given["reason"]:
            raise
        return {"reason": "", "request_id": MASK}


def _note(versions: list[RunNote]) -> Note:
    first, last = versions[0], versions[-1]
    edited = {"edited_by": _name(last), "edited_at": last.happened_at} if last is not first else {}
    return Note(first.number, last.reason, first.user_id, _name(first), first.happened_at, **edited)  # type: ignore[arg-type]  # of two types, as named


def _name(version: RunNote) -> str:
    return version.username or version.token_name
