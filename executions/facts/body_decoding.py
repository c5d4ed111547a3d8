"""Decode a body to facts: a JSON array, or NDJSON with a fact in each line. Invalid facts, and lines that are not JSON,
are refused one by one; an array that is not JSON is refused as a whole.

msgspec decodes and checks types in one step. A fact that it refuses is parsed again with `json`, for the path of the
error, and for lone surrogates and NUL.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from executions import text_limits
from ledgerkit import json_reading
from ledgerkit.db import json_validation
from ledgerkit.db.models import parse_uuid
from ledgerkit.rest.query_params import safe_name

from .fact_checks import Checks, check_workflow
from .fact_kinds import KINDS, OBSERVATIONS, AnyFact, Fact, Line, Reported, WorkflowEnsure
from .refusals import BadFact, NotFacts, Refusal
from .workflow_definitions import distinct_definitions

MAX_FACTS = 10_000
NUL = b"\\u0000"
BY_KIND = {str(kind.__struct_config__.tag): kind for kind in KINDS}
ALL_KINDS = BY_KIND | {str(kind.__struct_config__.tag): kind for kind in OBSERVATIONS}

_facts = msgspec.json.Decoder(AnyFact)
_all_facts = msgspec.json.Decoder(list[AnyFact])
_array = msgspec.json.Decoder(list[msgspec.Raw])


class Decoded(NamedTuple):
    """`workflows` has the distinct bodies of `workflow.ensure`, in the order of their names, each with its indices in
    the call; `sent` has unmasked documents, for the redaction of the server's log."""

    facts: list[Reported]
    refusals: list[Refusal]
    workflows: list[tuple[list[int], dict[str, Any]]]
    sent: list[dict[str, object]]


def decode_array(body: bytes, *, imports: bool = False, sent_at: datetime | None = None) -> Decoded:
    """Return the facts of a JSON array, sent at that time by the sender's clock. Raises NotFacts."""
    checks = Checks(imports=imports, size=len(body), sent_at=sent_at)
    if (facts := _all_at_once(body)) is not None:
        return _decode(facts, checks)
    try:
        pieces: list[object] = [bytes(piece) for piece in _array.decode(body)]
    except (msgspec.MsgspecError, RecursionError):  # one fact alone may be the cause, such as NaN
        pieces = [_Parsed(item) for item in _parse_list(body)]
    return _decode(pieces, checks)


def decode_lines(body: bytes, *, imports: bool = False, sent_at: datetime | None = None) -> Decoded:
    """Return the facts of NDJSON, sent at that time by the sender's clock. Raises NotFacts."""
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    return _decode(lines, Checks(imports=imports, size=len(body), sent_at=sent_at))


def decode_values(values: Iterable[object], *, imports: bool = False) -> Decoded:
    """Return the facts of values from this process. They may be observations."""
    return _decode([_Parsed(value, ALL_KINDS) for value in values], Checks(imports=imports))


def _all_at_once(body: bytes) -> list[Any] | None:
    """Return the facts of a body if all are valid, None if that is not certain."""
    if NUL in body:
        return None
    try:
        return _all_facts.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return None


class _Parsed:
    """A fact that was parsed with `json`."""

    def __init__(self, value: object, kinds: Mapping[str, type[Fact]] = BY_KIND) -> None:
        self.value = value
        self.kinds = kinds


type Piece = bytes | _Parsed | Fact


def _parse_list(body: bytes) -> list[object]:
    found = _parse(body)
    if not isinstance(found, list):
        raise NotFacts("Expected a list of facts.")
    return found


def _parse(body: bytes) -> Any:
    try:
        return json_reading.read(body)
    except json_reading.NotJson as error:
        raise NotFacts(f"{error} Expected a list of facts, or NDJSON with one in each line.") from None


def _decode(pieces: list[Any], checks: Checks) -> Decoded:
    if len(pieces) > MAX_FACTS:
        raise NotFacts(f"Expected at most {MAX_FACTS} facts in one call; found {len(pieces)}. Send several calls.")
    decoded = Decoded([], [], [], [])
    # Keep the loop short: a call may have thousands of lines.
    take, sent, is_corrected = decoded.facts.append, decoded.sent, bool(checks.ahead)
    definitions: list[tuple[int, dict[str, object]]] = []
    for index, piece in enumerate(pieces):
        try:
            fact = piece if isinstance(piece, Fact) else _fact(piece)
            if type(fact) is WorkflowEnsure:
                check_workflow(fact)
                definitions.append((index, fact.workflow))
                continue
            at = checks.check(fact)
            texts = _texts(fact)  # after the check, which normalizes names
            if type(fact) is not Line or fact.data is not None:
                sent.append(dict(texts))
            take(Reported(index, fact, at, texts, is_corrected))
        except BadFact as error:
            decoded.refusals.append(Refusal.from_error(index, _run_of(piece), error))
    decoded.workflows.extend(distinct_definitions(definitions))
    return decoded


def _fact(piece: bytes | _Parsed) -> Any:
    if isinstance(piece, bytes) and NUL not in piece:
        try:
            return _facts.decode(piece)
        except (msgspec.MsgspecError, RecursionError):
            pass  # decode again, for the reason
    return _read_exactly(_value(piece), piece.kinds if isinstance(piece, _Parsed) else BY_KIND)


def _value(piece: bytes | _Parsed) -> Any:
    if isinstance(piece, _Parsed):
        return piece.value
    try:
        return json_reading.read(piece, "fact")
    except json_reading.NotJson as error:
        raise BadFact("invalid", str(error)) from None


def _read_exactly(value: object, kinds: Mapping[str, type[Fact]]) -> Any:
    """Return the fact, with the texts of its report made visible. Raises BadFact, which names the place."""
    if not isinstance(value, dict):
        raise BadFact("invalid", "Expected an object.")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise BadFact("invalid", f"kind: expected one of: {', '.join(BY_KIND)}.")
    names = list(kinds[kind].__struct_fields__)
    for name in value:
        if name not in names and name != "kind":
            raise BadFact("invalid", f"{safe_name(name)}: Unknown field: this fact takes {', '.join(names)}.")
    value = text_limits.make_storable(value)
    for pointer, fault in json_validation.iter_errors(value):
        raise BadFact("invalid", f"{pointer}: {fault}")
    try:
        return msgspec.convert(value, kinds[kind])
    except msgspec.MsgspecError as error:
        raise BadFact("invalid", _without_value(str(error))) from None


def _without_value(sentence: str) -> str:
    """Return the message of msgspec without the value that was sent: it may be a misplaced secret."""
    message, _at, place = sentence.rpartition(" - at `$.")
    name = place.rstrip("`")
    if not message:
        return sentence
    return f"{name}: {'not a value that is allowed here' if message.startswith('Invalid enum') else message}."


def _texts(fact: Fact) -> dict[str, object]:
    """Return the texts to mask, by field. An empty error becomes a sentence."""
    if type(fact) is Line:
        texts: dict[str, object] = {"message": fact.message}
        if fact.data is not None:
            texts["data"] = fact.data
        if fact.source is not None:
            texts["source"] = fact.source
        return texts
    texts = {name: getattr(fact, name) for name in fact.TEXTS}
    if "error_message" in texts:
        texts["error_message"], trace = text_limits.standard_error(texts["error_message"], texts.get("error_traceback"))
        if "error_traceback" in texts:
            texts["error_traceback"] = trace
    return texts


def _run_of(piece: Piece) -> UUID | None:
    """Return the run of a refused fact, None if it names none. The other facts of the run are refused too."""
    if isinstance(piece, Fact):
        return None if isinstance(piece, WorkflowEnsure) else piece.run
    try:
        value = _value(piece)
    except BadFact:
        return None
    if not isinstance(value, dict):
        return None
    of_run = str(value.get("kind", "")).startswith("execution.")
    return parse_uuid(value.get("id" if of_run else "workflow_execution"))
