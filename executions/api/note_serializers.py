"""Serializers of notes on a run."""

from rest_framework import serializers

from executions import run_notes
from executions.run_notes import Note
from ledgerkit.rest.fields import MomentField
from ledgerkit.rest.strict_types import StrictTypes


class WriteNoteSerializer(StrictTypes, serializers.Serializer[None]):
    text = serializers.CharField(max_length=run_notes.MAX_NOTE_LENGTH)


class RunNoteSerializer(serializers.Serializer[Note]):
    """A note on a run. `number` is that of the note within its run. `written_by` and `edited_by` name a user, or the
    token of a program; `edited_at` is null for a note that was never edited."""

    number = serializers.IntegerField()
    text = serializers.CharField()
    written_by = serializers.CharField()
    written_at = MomentField()
    edited_by = serializers.CharField(allow_blank=True)
    edited_at = MomentField(allow_null=True)


class RunNotesSerializer(serializers.Serializer[None]):
    results = RunNoteSerializer(many=True)
