"""Values and facts as JSON. Nothing here raises: an engine must not fail because a value cannot be recorded."""

import json
import math
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from .ids import random_bits, uuid7

MAX_DOCUMENT = 1_000_000  # bytes; a ledger with default settings refuses more than 1,048,576
MAX_TEXT = 200_000  # characters of a message, an error or a traceback, which the ledger cuts further
MAX_DEPTH = 50
UNSTORABLE = ("\\u0000", "\\ud8", "\\ud9", "\\uda", "\\udb", "\\udc", "\\udd", "\\ude", "\\udf")

OVERHEAD = 300  # bytes of a fact beside its texts
WIDEST = 6  # bytes of a character that is not ASCII
IMMUTABLE = frozenset({str, int, float, bool, type(None)})

OF_NODE = '"node_execution":"%s",'

text = encode_basestring_ascii


class Document(str):
    """JSON that is encoded already."""

    __slots__ = ()


class Fact(NamedTuple):
    """A fact as it will be sent. `run` is "" for a definition, `node` is the node execution that it is about."""

    run: str
    kind: str
    body: bytes
    node: str = ""

    @property
    def size(self) -> int:
        return len(self.body)

    def encoded(self) -> "Fact":
        return self


class Draft(NamedTuple):
    """A fact that the sending thread encodes. `args` has nothing that the engine may change, `size` is an estimate."""

    run: str
    kind: str
    node: str
    size: int
    encode: Callable[..., str]
    args: tuple[Any, ...]

    def encoded(self) -> Fact:
        return Fact(self.run, self.kind, self.encode(*self.args).encode("ascii"), self.node)


def fact(run: str, kind: str, of_node: str = "", /, **fields: str | int | None) -> Draft:
    """Return a fact with the present time. Fields of None are left out; documents are to be encoded by document()."""
    size = OVERHEAD
    for value in fields.values():
        if isinstance(value, str):
            size += len(value) if value.isascii() else WIDEST * len(value)
    return Draft(run, kind, of_node, size, _fact, (kind, fields, time.time_ns()))


def _fact(kind: str, fields: Mapping[str, object], nanoseconds: int) -> str:
    given = {name: value for name, value in fields.items() if value is not None}
    if kind != "workflow.ensure":
        given.setdefault("at", moment(nanoseconds))
    return f"{{{','.join([f'"kind":"{kind}"', *(f'"{name}":{_encode(value)}' for name, value in given.items())])}}}"


def raw(fields: Mapping[str, object]) -> Fact:
    """Return the fact of a dict as the API takes it."""
    kind = str(fields["kind"])
    more = {} if kind == "workflow.ensure" else {"at": moment(time.time_ns())}
    return of_body(fields, document(more | dict(fields)).encode("ascii"))


def of_body(fields: Mapping[str, Any], body: bytes) -> Fact:
    """Return the fact of an encoded body. Raises KeyError or TypeError if it is none."""
    kind = fields["kind"]
    run = fields.get("id" if kind.startswith("execution.") else "workflow_execution") or ""
    node = fields.get("id" if kind.startswith("node.") else "node_execution") or ""
    return Fact(str(run), kind, body, str(node))


def line(
    run: str, node: str | None, level: str, message: str, data: Mapping[str, object], nanoseconds: int | None = None,
    source: str | None = None, seq: int | None = None,
) -> Draft:  # fmt: skip
    """Return the fact of a log line."""
    ns = time.time_ns() if nanoseconds is None else nanoseconds
    if len(message) > MAX_TEXT:
        message = cut(message)
    size = OVERHEAD + (len(message) if message.isascii() else WIDEST * len(message))
    kept: Mapping[str, object] | Document = data
    if data:
        kept, more = _keep(data)
        size += more
    args = (run, node, level, message, kept, ns, random_bits(), source, seq)
    return Draft(run, "log", node or "", size, _line, args)


def _keep(data: Mapping[str, object]) -> tuple[Mapping[str, object] | Document, int]:
    """Return data that nobody else changes, and its size: encoded unless all its values are immutable."""
    size = 0
    for name, value in data.items():
        if type(value) not in IMMUTABLE:
            found = document(data)
            return found, len(found)
        size += len(name) + (len(value) if isinstance(value, str) else 10)
    return data, size


def _line(
    run: str, node: str | None, level: str, message: str, data: Mapping[str, object] | Document, ns: int, bits: int,
    source: str | None, seq: int | None,
) -> str:  # fmt: skip
    of_node = OF_NODE % node if node else ""
    numbered = f'"source":{text(source)},"seq":{seq},' if source else ""
    with_data = f'"data":{data if isinstance(data, Document) else document(data)},' if data else ""
    return (
        f'{{"kind":"log","id":"{uuid7(ns, bits)}","workflow_execution":"{run}",{of_node}"level":"{level}",{numbered}'
        f'{with_data}"message":{text(message)},"at":"{moment(ns)}"}}'
    )


def without_node(fact: Fact) -> Fact:
    """Return the line as one of the run alone."""
    return fact._replace(body=fact.body.replace((OF_NODE % fact.node).encode(), b"", 1), node="")


def moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1_000:06d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def _encode(value: Any) -> str:
    if isinstance(value, Document):
        return value
    return text(value) if isinstance(value, str) else json.dumps(value)


def document(value: Any) -> Document:
    """Return the value as JSON that the ledger takes: what is no JSON as text, what is too large as a sentence."""
    try:
        encoded = json.dumps(value, default=_other, allow_nan=False, separators=(",", ":"))
        if any(escape in encoded for escape in UNSTORABLE) or encoded.count("[") + encoded.count("{") > MAX_DEPTH:
            encoded = json.dumps(_storable(value), separators=(",", ":"))
    except Exception:  # noqa: BLE001  # whatever an object's own __str__ raises
        encoded = _from_anything(value)
    if len(encoded) > MAX_DOCUMENT:
        encoded = json.dumps({"not_recorded": f"{len(encoded):,} bytes, at most {MAX_DOCUMENT:,} are recorded"})
    return Document(encoded)


def _from_anything(value: Any) -> str:
    try:
        return json.dumps(_storable(value), separators=(",", ":"))
    except Exception:  # noqa: BLE001  # the same
        return json.dumps({"not_recorded": f"a {type(value).__name__} that cannot be converted to JSON"})


def _other(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return cut(str(value))


def _storable(value: Any, depth: int = 0) -> Any:
    """Return the value without NaN, NUL, halves of characters, keys that are no texts, and too many levels."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth >= MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {storable_text(str(key)): _storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(item, depth + 1) for item in value]
    return storable_text(value if isinstance(value, str) else cut(str(value)))


def storable_text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def cut(value: str, most: int = MAX_TEXT) -> str:
    """Return the text, without its middle if it is too long."""
    if len(value) <= most:
        return value
    half = most // 2
    return f"{value[:half]}\n... [{len(value) - 2 * half:,} characters left out] ...\n{value[-half:]}"


def message_of(message: object, args: tuple[object, ...]) -> str:
    """Return the message with its arguments, as logging does it; both if they do not fit."""
    try:
        return str(message) % args if args else str(message)
    except Exception:  # noqa: BLE001  # of an argument's own methods too
        return f"{message!s} {len(args)} arguments that do not fit"


def error_of(error: BaseException | str) -> tuple[str, str | None]:
    """Return the message and, of an exception, the traceback."""
    if isinstance(error, str):
        return cut(error), None
    try:
        message = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # of its own __str__
        message = type(error).__name__
    return cut(message), cut("".join(traceback.format_exception(error)))
