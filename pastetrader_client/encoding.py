"""Encode facts as JSON. A thread of the engine makes drafts; the sending thread encodes them."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, Protocol

from .documents import Document, document
from .ids import uuid7
from .tracebacks import CapturedTraceback

OVERHEAD = 300  # bytes of a fact without its texts
OF_NODE, OF_LEASE, OF_RUN = '"node_execution":"%s",', '"token":"%s",', '"run_token":"%s",'
OF_ATTEMPT = '"attempt":%d,'
DOCUMENTS = {"input_data", "output_data", "context", "metadata", "data"}

text = encode_basestring_ascii


class Fact(NamedTuple):
    """An encoded fact. `run` is "" for a definition; `node` is the node execution, if any. `token` is the token of its
    attempt, or with `is_of_run` that of the run's attempt, as a node may have none. `attempt` is 0 if the fact names
    none.
    """

    run: str
    kind: str
    body: bytes
    node: str = ""
    token: str = ""
    is_of_run: bool = False
    attempt: int = 0


class Identified(Protocol):
    """A run or a node execution. Its id is created on first use."""

    @property
    def id(self) -> str: ...


type Fields = Mapping[str, object]

# A fact that is not encoded yet: its size in bytes, of which texts are exact and the rest is an estimate; its kind; the
# run, or its id; and the function that encodes it, with arguments that the engine cannot change. A tuple, since making
# an object of a class would take a third of a call.
type Draft = tuple[int, str, Identified | str, Callable[..., Fact | None], tuple[object, ...]]


def encode(draft: Draft) -> Fact | None:
    """Return the fact, None for a draft that only informs the sending thread."""
    _size, kind, run, function, args = draft
    return function(kind, run, *args)


def encode_transition(kind: str, run: Identified, node: Identified | None, fields: Fields, nanoseconds: int) -> Fact:
    """Encode a creation or a transition. `nanoseconds` is its time, unless the fields have another. Fields that are
    None are left out."""
    given: dict[str, object] = {"id": run.id if node is None else node.id}
    if node is not None:
        given["workflow_execution"] = run.id
    given |= {name: value for name, value in fields.items() if value is not None}
    given.setdefault("at", moment(nanoseconds))
    return fact_of(run.id, kind, node.id if node is not None else "", given)


def fact_of(run: str, kind: str, node: str, fields: Fields) -> Fact:
    parts = [f'"kind":"{kind}"', *(f'"{name}":{_encode(name, value)}' for name, value in fields.items())]
    return Fact(run, kind, f"{{{','.join(parts)}}}".encode("ascii"), node, *_token_of(fields), _attempt_of(fields))


def _attempt_of(fields: Fields) -> int:
    attempt = fields.get("attempt")
    return attempt if isinstance(attempt, int) else 0


def _token_of(fields: Fields) -> tuple[str, bool]:
    """Return the token of a fact, and whether it is the token of the run."""
    own = fields.get("token")
    return str(own or fields.get("run_token") or ""), not own and bool(fields.get("run_token"))


def _encode(name: str, value: object) -> str:
    if name in DOCUMENTS or isinstance(value, Document):
        return document(value)
    if isinstance(value, str | CapturedTraceback):
        return text(str(value))
    return json.dumps(value)


def encode_line(
    _kind: str, run: Identified, node: Identified | None, level: str, message: str, data: object, ns: int,
    source: str | None = None, seq: int | None = None, token: str | None = None, run_token: str | None = None,
    attempt: int = 0,
) -> Fact:  # fmt: skip
    """Encode a log line. Its id has the time of the call. Attempt 0 means the attempt that is current on arrival."""
    of_node, node_id = (OF_NODE % node.id, node.id) if node is not None else ("", "")
    of_lease = OF_LEASE % token if token else OF_RUN % run_token if run_token else ""
    of_attempt = OF_ATTEMPT % attempt if attempt else ""
    numbered = f'"source":{text(source)},"seq":{seq},' if source else ""
    with_data = f'"data":{document(data)},' if data else ""
    body = (
        f'{{"kind":"log","id":"{uuid7(ns)}","workflow_execution":"{run.id}",{of_node}{of_attempt}{of_lease}"level":"{level}",'
        f'{numbered}{with_data}"message":{text(message)},"at":"{moment(ns)}"}}'
    )
    is_of_run = not token and bool(run_token)
    return Fact(run.id, "log", body.encode("ascii"), node_id, token or run_token or "", is_of_run, attempt)


def draft_of(fact: Fact) -> Draft:
    """Return the draft of a fact that is encoded already."""
    return len(fact.body), fact.kind, fact.run, _encoded_already, (fact,)


def send_nothing(_kind: str, _run: Identified) -> None:
    """Encode nothing: the draft only informs the sending thread."""


def _encoded_already(_kind: str, _run: str, fact: Fact) -> Fact:
    return fact


def raw(fields: Mapping[str, Any]) -> Fact:
    """Return the fact of a dict as the API takes it."""
    kind = str(fields["kind"])
    more = {} if kind == "workflow.ensure" else {"at": moment(time.time_ns())}
    return of_body(fields, document(more | dict(fields)).encode("ascii"))


def of_body(fields: Mapping[str, Any], body: bytes) -> Fact:
    """Return the fact of an encoded body. Raises KeyError or TypeError if it is not a fact."""
    kind = fields["kind"]
    run = fields.get("id" if kind.startswith("execution.") else "workflow_execution") or ""
    node = fields.get("id" if kind.startswith("node.") else "node_execution") or ""
    return Fact(str(run), kind, body, str(node), *_token_of(fields), _attempt_of(fields))


def without_node(fact: Fact) -> Fact:
    """Return the line as a line of the run, without the node, its token and its attempt."""
    body = fact.body.replace((OF_NODE % fact.node).encode(), b"", 1)
    body = body.replace((OF_ATTEMPT % fact.attempt).encode(), b"", 1)
    if fact.is_of_run:
        return fact._replace(body=body, node="", attempt=0)
    body = body.replace((OF_LEASE % fact.token).encode(), b"", 1)
    return fact._replace(body=body, node="", token="", attempt=0)


def moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1_000:06d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
