"""JSON that the ledger can store: what it could not is refused at the door, wherever it stands in the body."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from workflows.storable import MAX_DEPTH, faults


class StorableJSONParser(JSONParser):
    """REST framework's parser. Raises ParseError, naming the place, for what `faults` finds."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
        for pointer, fault in faults(data):
            raise ParseError(f"{pointer or 'The body'}: {fault}")
        return data
