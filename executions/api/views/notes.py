from collections.abc import Callable
from uuid import UUID

from django.core.exceptions import ValidationError
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from executions import run_notes
from executions.api.note_serializers import RunNoteSerializer, RunNotesSerializer, WriteNoteSerializer
from executions.run_notes import Note
from ledgerkit.rest.parameter_names import check_names
from ledgerkit.rest.schema import extend_schema
from tokens.models import Scope

from .base import RunChildView

CHANGE = (Scope.EXECUTIONS_CONTROL, "executions.change_workflowexecution")
NOT_YOURS = "Only the author of this note, or an administrator, may change it: write another one."


class NotesOfExecutionViewSet(RunChildView):
    """Notes of people on a run."""

    lookup_field, lookup_value_converter = "number", "int"
    serializer_class = RunNoteSerializer  # of what a write answers
    grants = {"write": CHANGE, "edit": CHANGE, "remove": CHANGE}

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        if self.action in self.grants:
            if "If-Match" in request.headers:
                self.check_version(self.execution)
            self.check_object_permissions(request, self.execution)

    def get_serializer_class(self) -> type[serializers.BaseSerializer[None]]:
        return WriteNoteSerializer if self.action in {"write", "edit"} else RunNotesSerializer

    @extend_schema(
        tags=["executions"],
        operation_id="getExecutionNotes",
        summary="Read the notes on a run",
        description="Lists all notes, the oldest first, as they are now. Earlier versions are in the activity.",
    )
    def read(self, request: Request, execution_id: UUID) -> Response:
        check_names(request, ())
        return Response({"results": [RunNoteSerializer(note).data for note in run_notes.notes_of(self.execution.pk)]})

    @extend_schema(
        tags=["executions"],
        operation_id="writeExecutionNote",
        summary="Write a note on a run",
        description="Secrets of the run are masked in it. Its author is the user of the session or of the token.",
    )
    def write(self, request: Request, execution_id: UUID) -> Response:
        text = self._text(request)
        return self._answer(lambda: run_notes.write(self.execution.pk, text), status.HTTP_201_CREATED)

    @extend_schema(
        tags=["executions"],
        operation_id="editExecutionNote",
        summary="Edit a note",
        description=(
            "Replaces the text of a note; its author and administrators may. The activity keeps the earlier text."
        ),
    )
    def edit(self, request: Request, execution_id: UUID, number: int) -> Response:
        note = self._note_to_change(request, number)
        if not (text := self._text(request, partial=True)):
            return Response(RunNoteSerializer(note).data)
        return self._answer(lambda: run_notes.edit(self.execution.pk, number, text))

    @extend_schema(
        tags=["executions"],
        operation_id="removeExecutionNote",
        summary="Remove a note",
        description=(
            "Removes a note; its author and administrators may. The activity keeps the text until the run is deleted."
        ),
    )
    def remove(self, request: Request, execution_id: UUID, number: int) -> Response:
        self._note_to_change(request, number)
        run_notes.remove(self.execution.pk, number)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _text(self, request: Request, *, partial: bool = False) -> str:
        body = self.get_serializer(data=request.data, partial=partial)
        body.is_valid(raise_exception=True)
        return str(body.validated_data.get("text", ""))

    def _note_to_change(self, request: Request, number: int) -> Note:
        """Return the note. Raises NoteGone, and PermissionDenied to those who may not change it."""
        note = run_notes.note_of(self.execution.pk, number)
        if not note.is_changed_by(request.user):
            raise PermissionDenied(NOT_YOURS)
        return note

    def _answer(self, act: Callable[[], Note], code: int = status.HTTP_200_OK) -> Response:
        try:
            note = act()
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
        return Response(RunNoteSerializer(note).data, status=code)
