"""Every function that works on what a caller sends takes time that grows with its size alone.

Each entry of WORST is a function and its worst inputs of a size, found by reading loops and patterns. A function that
processes text and is new has its entry here.
"""

import contextlib
import gc
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from executions import log_preparation, masking, request_body_masking, text_limits, validators
from executions.admin import download_escaping
from executions.admin.logs import ansi
from executions.admin.runs import json_diff
from executions.api import idempotent_create, log_line_serializers
from executions.error_groups.fingerprints import make_fingerprint
from executions.error_groups.messages import normalize_message
from executions.facts import body_decoding, row_storage, rows
from executions.live.cursor import BadCursor, Cursor
from executions.models import ErrorRule
from executions.secrets import key_value_patterns, limits
from executions.secrets.encoded_forms import normal
from executions.secrets.run_secrets import RunSecrets
from executions.secrets.scrubber import Scrubber
from executions.secrets.values_by_key import find_secret_values
from ledgerkit import json_reading, visible_text
from ledgerkit.db import json_validation, names
from ledgerkit.db.models import uuid7
from pastetrader import log_format
from pastetrader.tests.proofs import LONG
from tokens import failed_attempts
from workflows import drawing
from workflows.admin import graph_text
from workflows.secret_keys import _names_secret, mask_document, mask_schema

RATIO = 8  # times, for four times the size: linear is 4, quadratic is 16
LONG_ENOUGH = 0.004 if LONG else 0.001  # seconds
LARGE = 60_000 if LONG else 15_000  # characters: what takes no time even then is not quadratic
TRIES = 6
SHORT = 50  # characters of a log line where there are many
RUN = uuid7()

FEW = Scrubber(["hunter2pw", "correct horse battery", "abcabcabc1", "5" * 64 + "6"])
MANY = Scrubber(f"secret-number-{number:05}" for number in range(500))
NESTED = Scrubber([*("a" * length for length in range(6, 33)), "a" * 64 + "b"])
ESCAPES = Scrubber(["\\" * 8, "a%%%%%%%b"])


def repeat(text: str) -> Callable[[int], str]:
    return lambda size: text * (size // len(text) + 1)


TEXTS: dict[str, Callable[[int], str]] = {
    "secrets between masks": repeat("hunter2pw***masked***"),
    "overlapping secrets": repeat("abc"),
    "one letter": repeat("a"),
    "escaped percents": repeat("%25"),
    "backslashes": repeat("\\"),
    "entities in entities": lambda size: "&" + repeat("amp;")(size),
    "every escape": repeat("\\%25&amp;"),
    "secrets over two lines": repeat("hunter2\n   pw "),
    "empty lines": repeat("\n \r"),
    "open colours": repeat("\x1b[0"),
    "a long colour": lambda size: "\x1b[" + "0" * size,
    "pairs of digits": repeat("68 "),
    "pairs that stop": repeat("68 75 6e 74 6"),
    "base64": repeat("aHVudGVyMnB3"),
    "names without values": repeat("password="),
    "open quotes": repeat('password="'),
    "open quotes in lines": repeat('password=\\"x \n'),
    "quotes escaped ever more": lambda size: "".join(f'pwd={"\\" * (at % 16)}"' for at in range(size // 12)),
    "a long word": lambda size: f"token{'a' * size}=",
    "words and signs": repeat("token=a="),
    "addresses": repeat("://a:b"),
    "a long password in an address": lambda size: f"://{'a:' * size}",
    "beginnings of a JWT": repeat("eyJaaaaaaaa.eyJaaaaaaaa."),
    "beginnings of a JWT after hyphens": repeat("-eyJaaaaaaaa"),
    "an open quote and backslashes": lambda size: "password='" + "\\" * size,
    "keys in one word that ends in a name": lambda size: repeat("password:")(size) + ".password",
    "quotes in a text of JSON that does not end": lambda size: "[" * 20 + '"' + repeat('\\"')(size),
    "headers": repeat("cookie: "),
    "schemes": repeat("bearer "),
    "brackets": lambda size: '{"token": ' + "[" * size + "]" * size + "}",
    "combining marks": lambda size: "a" + repeat("\u0300\u0316")(size),
    "vowel signs that part in two": repeat("\u0f73"),
    "open titles": repeat("\x1b]0;"),
    "signs": repeat("\x00\u202e"),
    "open quotations": repeat("“"),
    "words and digits": repeat("a.1-"),
    "paths": repeat(" /a:b/"),
    "open fields of a page": repeat('<textarea value="'),
}
OF_COMMANDS: dict[str, Callable[[int], str]] = {  # for what masks alone
    "options without values": repeat("--password "),
    "options with open quotes": repeat("--password 'x --token \"y "),
    "options inside values": repeat("--token is.--token "),
    "quotes of options that name nothing": repeat("--verbose \\\\'"),
    "options of curl": repeat("curl -u a:b "),
    "quotes of a command": lambda size: "curl " + repeat("-u 'x -U \"y ")(size),
    "quoted backslashes of a command": lambda size: "curl " + repeat("-u \\\\\\\\")(size),
    "values without a colon": lambda size: "curl " + repeat("-ux")(size) + " -u " + "x" * size,
    "commands": repeat("sshpass mysql -p -p"),
    "private keys that do not end": repeat("-----BEGIN PRIVATE KEY-----"),
    "private keys that do not begin": lambda size: "-----BEGIN PRIVATE KEY-----" + repeat("-----END A B ")(size),
    "beginnings of private keys": repeat("-----BEGIN RSA RSA RSA "),
    "beginnings of tokens": repeat("ghp_aaaaaaaa.glpat-aaaa.xoxb-aaa.AKIAAAAAAAAA.AIzaaaaa.npm_aaaa.pypi-aaaa."),
    "a long token": lambda size: "github_pat_" + "a_" * size,
    "tokens after hyphens": repeat("-pypi-glpat-xoxb-"),
    "names in Korean": repeat("비밀번호=토큰:"),
    "a long name in Korean": lambda size: "토큰" * size + "=",
    "places of a list": repeat("next token: "),
    "words about a token": lambda size: repeat("token_count_")(size) + "=1",
}
DOCUMENTS: dict[str, Callable[[int], Any]] = {
    "empty lists": lambda size: [[] for _ in range(size // 20)],
    "keys that are masked alike": lambda size: {written_otherwise("hunter2pw", at): at for at in range(size // 40)},
    "keys of their own": lambda size: {f"key-{at}-{at}": at for at in range(size // 60)},
    "long keys": lambda size: {"k" * size: [0.5] * (size // 10)},
    "many secrets": lambda size: {"secrets": [f"{at:012}" for at in range(size // 100)]},
    "a long secret": lambda size: {"secret": "x\u0300\u0316y " * (size // 5)},
    "a secret of many lines": lambda size: {"secret": "a line of it\n" * (size // 12)},
    "pairs": lambda size: [["Authorization", "Bearer abcdefgh"]] * (size // 50),
    "options": lambda size: ["--password", "x"] * (size // 20),
    "names and values": lambda size: [{"name": "DB_PASSWORD", "value": "x" * 20}] * (size // 50),
    "nested": lambda size: [json.loads("[" * 60 + "]" * 60)] * (size // 120),
    "JSON in JSON": lambda size: {"a": json.dumps({"token": ["a" * 20] * (size // 30)})},
}


def written_otherwise(text: str, number: int) -> str:
    """Write each letter in one of three ways, as the digits of the number say."""
    written = ""
    for char in text:
        number, way = divmod(number, 3)
        written += (char, f"%{ord(char):02x}", f"\\x{ord(char):02x}")[way]
    return written


def every_document(value: Any) -> list[Any]:
    return list(json_validation.iter_errors(value))


def parse(text: str) -> None:
    with contextlib.suppress(json_reading.NotJson):
        body = text.encode(errors="surrogatepass")
        json_validation.NOT_TEXT.search(body)
        json_validation.is_bounded([json_reading.read(body)])


def graph_or_position(text: str) -> None:
    with contextlib.suppress(ValidationError):
        graph_text.parse_graph(text)
    with contextlib.suppress(BadCursor):
        Cursor.read(text)


def many_lines(text: str) -> list[Any]:
    return [{"level": "info", "message": text[at : at + SHORT]} for at in range(0, len(text), SHORT)]


def mask_fields(secrets: Scrubber, *fields: dict[str, object]) -> None:
    pieces = [masking.FieldValues(RUN, dict(each)) for each in fields]
    with contextlib.suppress(ValidationError):  # too many, or too long
        masking.mask(pieces, "report", new=True, known={RUN: RunSecrets(secrets)})


def mask_body(body: object) -> None:
    with contextlib.suppress(ValidationError):
        request_body_masking.mask_body(body, None)


def facts(*more: dict[str, object]) -> bytes:
    line = {"kind": "log", "id": str(RUN), "workflow_execution": str(RUN), "level": "info", "message": "x"}
    return json.dumps([line | each for each in more]).encode()


def decode_facts(body: bytes) -> None:
    with contextlib.suppress(body_decoding.NotFacts):
        body_decoding.decode_array(body)


def line_as_json(message: str, data: object = None) -> str:
    line = rows.NewLine(RUN, RUN, "info", message, timezone.now(), 1, data=data)
    return row_storage.as_json([line]) or ""


OF_TEXT: dict[str, Callable[[str], Any]] = {
    "masked, few secrets": FEW.text,
    "masked, many secrets": MANY.text,
    "masked, secrets within each other": NESTED.text,
    "masked, secrets of escapes": ESCAPES.text,
    "masked, none": Scrubber().text,
    "patterns": lambda text: list(key_value_patterns.spans(text)),
    "secrets of its own": lambda text: Scrubber(find_secret_values({"secret": text})),
    "normal forms": lambda text: normal("NFD", text),
    "as text": json_validation.to_storable_text,
    "cut": log_preparation.cut,
    "cut in the middle": lambda text: text_limits.cut_to_limits("error_traceback", text),
    "error": lambda text: text_limits.standard_error(" ", text),
    "fingerprint": lambda text: make_fingerprint(text, text, "", ErrorRule.TRACEBACK),
    "alike": normalize_message,
    "faults": every_document,
    "colours": lambda text: ansi.to_html(text, "a"),
    "name of a key": _names_secret.__wrapped__,
    "parsed": parse,
    "counted": lambda text: json_validation.has_more_elements(text.encode(), 10),
    "body: a line": lambda text: mask_body([{"message": text}]),
    "body: many lines": lambda text: mask_body(many_lines(text)),
    "body: data of a line": lambda text: mask_body([{"message": "x", "data": {"text": text}}]),
    "body: an execution": lambda text: mask_body({"context": {"text": text}}),
    "rows: a line": lambda text: mask_fields(FEW, {"message": text}),
    "rows: many lines": lambda text: mask_fields(Scrubber(), *many_lines(text)),
    "rows: many lines, few secrets": lambda text: mask_fields(FEW, *many_lines(text)),
    "rows: an error": lambda text: mask_fields(FEW, {"error_message": text, "error_traceback": text}),
    "lines as they are validated": lambda text: log_line_serializers.good_lines(many_lines(text), ()),
    "lines as they are stored": line_as_json,
    "facts": lambda text: decode_facts(facts({"message": text})),
    "facts, read twice": lambda text: decode_facts(facts({"message": f"{text}\ud800"})),
    "facts, many": lambda text: decode_facts(facts(*many_lines(text))),
    "facts, not JSON": lambda text: decode_facts(text.encode(errors="surrogatepass")),
    "facts, in lines": lambda text: body_decoding.decode_lines(text.encode(errors="surrogatepass")),
    "facts, one kind": lambda text: decode_facts(facts({"kind": text, text: text})),
    "page": visible_text.show_on_page,
    "download": download_escaping.mark_continuation_lines,
    "download of JSON": download_escaping.in_json,
    "without colours": ansi.strip_ansi,
    "name": names.find_error,
    "name, forms": names.forms,
    "tags": lambda text: validators._faults_of_tags("metadata", {"tags": text.split(" ")}),
    "graph, position in a stream": graph_or_position,
    "label": drawing.shorten,
    "path in the log": log_format.clear_path,
    "address": failed_attempts.network_of,
    "difference of texts": lambda text: json_diff.differences(text, f"{text}."),
}
OF_DOCUMENT: dict[str, Callable[[Any], Any]] = {
    "masked": FEW.document,
    "masked by keys": mask_document,
    "masked schema": mask_schema,
    "values": find_secret_values,
    "secrets of its own": lambda document: Scrubber(find_secret_values(document)),
    "faults": every_document,
    "difference": lambda document: json_diff.differences(document, {"other": document}),
    "parsed": lambda document: parse(json.dumps(document)),
    "compared": idempotent_create._as_jsonb,
    "body: data of a line": lambda document: mask_body([{"message": "x", "data": document}]),
    "body: an execution": lambda document: mask_body({"context": document}),
    "rows": lambda document: mask_fields(Scrubber(FEW.values), {"data": document}),  # that has cached no keys yet
    "lengths of secrets": lambda document: limits.check_lengths("data", document, [], ()),
    "places of secrets": lambda document: list(limits._hidden_texts(document, (), "data")),
    "lines as they are validated": lambda document: log_line_serializers.good_lines(
        [{"level": "info", "message": "x", "data": document}], ()
    ),
    "lines as they are stored": lambda document: line_as_json("x", document),
    "facts": lambda document: decode_facts(facts({"data": document})),
    "facts, read twice": lambda document: decode_facts(facts({"data": document, "message": "\ud800"})),
    "tags": lambda document: validators._faults_of_tags("metadata", {"tags": [str(document)]}),
    "graph": lambda document: graph_or_position(json.dumps({"nodes": [{"config": document}]})),
}
MASKING = ("masked, few secrets", "masked, none", "patterns", "name of a key")
WORST: dict[str, tuple[Callable[[Any], Any], dict[str, Callable[[int], Any]]]] = {
    **{f"text: {of}": (work, TEXTS | (OF_COMMANDS if of in MASKING else {})) for of, work in OF_TEXT.items()},
    **{f"document: {of}": (work, DOCUMENTS) for of, work in OF_DOCUMENT.items()},
}


def seconds(work: Callable[[Any], Any], given: Any) -> float:
    """Return processor time of this thread. Empty the cache of keys, which may hold the smaller input."""
    _names_secret.cache_clear()
    gc.disable()  # it looks through all that there is, now and then
    try:
        begin = time.thread_time()
        work(given)
        return time.thread_time() - begin
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("of", WORST)
def test_four_times_the_input_takes_no_more_than_eight_times_as_long(of: str) -> None:
    work, inputs = WORST[of]
    ratios = {name: growth(work, make) for name, make in inputs.items()}
    assert not {name: f"{ratio:.1f} times" for name, ratio in ratios.items() if ratio > RATIO}


def growth(work: Callable[[Any], Any], make: Callable[[int], Any]) -> float:
    """Return the least of several ratios: other work on the machine only makes a measurement longer."""
    size = 4_000
    took, of_more = seconds(work, make(size)), seconds(work, make(4 * size))
    while took < LONG_ENOUGH and size < LARGE:
        size *= 4
        took, of_more = of_more, seconds(work, make(4 * size))
    found = [of_more / max(took, LONG_ENOUGH / 2)]
    while min(found) > RATIO and len(found) < TRIES:
        found.append(seconds(work, make(4 * size)) / max(seconds(work, make(size)), LONG_ENOUGH / 2))
    return min(found)
