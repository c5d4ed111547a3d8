"""The pure functions: what names a secret, and texts and documents without one."""

import base64
import html
import json
import quopri
import re
import shlex
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from executions.secrets.scrubber import MASK, RedactEverything, Scrubber, names_secret
from executions.secrets.values_by_key import find_secret_values
from pastetrader.tests.proofs import times
from workflows.secret_keys import mask_document

SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=6, max_size=30).filter(
    lambda text: text not in MASK and MASK not in text and not text.isspace()
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

WRITTEN: dict[str, Any] = {
    "plain": str,
    "json": json.dumps,
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "json, not ascii": lambda text: json.dumps(text, ensure_ascii=False),
    "repr": repr,
    "ascii": ascii,
    "bytes": lambda text: repr(text.encode()),
    "unicode escape": lambda text: "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H")),
    "hex escape": lambda text: "".join(f"\\x{byte:02X}" for byte in text.encode()),
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "url": lambda text: quote(text, safe=""),
    "url, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "url, all of it": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "form": quote_plus,
    "html": html.escape,
    "html, all of it": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "basic authorization": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 amid": lambda text: base64.b64encode(b"ab" + text.encode() + b"tail").decode(),
    "json in a url": lambda text: quote(json.dumps({"key": text})),
    "base64 in a url": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "hex": lambda text: text.encode().hex(),
    "json thrice": lambda text: json.dumps(json.dumps(json.dumps([text]))),
    "json in repr": lambda text: repr(json.dumps({"key": text})),
    "json in bytes": lambda text: repr(json.dumps({"key": text}, ensure_ascii=False).encode()),
    "bytes in json": lambda text: json.dumps(repr(text.encode())),
    "repr in repr": lambda text: repr(repr(text)),
    "url in json": lambda text: json.dumps(quote_plus(text)),
    "json in a url, twice": lambda text: quote(quote(json.dumps({"key": text}))),
    "html in json": lambda text: json.dumps(html.escape(text)),
    "json in html": lambda text: html.escape(json.dumps(text)),
    "sql": lambda text: "'" + text.replace("'", "''") + "'",
    "sql, escaped": lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'",
    "csv": lambda text: '"' + text.replace('"', '""') + '"',
    "shell": shlex.quote,
    "shell, by hand": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "quoted-printable": lambda text: quopri.encodestring(text.encode()).decode(),
    "quoted-printable, every byte": lambda text: re.sub("(..)", r"=\1", text.encode().hex().upper()),
    "hex in pairs": lambda text: text.encode().hex(" ").upper(),
    "hex with colons": lambda text: text.encode().hex(":"),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base32 amid": lambda text: base64.b32encode(b"a" + text.encode() + b"tail").decode(),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(b"x" + text.encode())).decode(),
    "codec": lambda text: text.encode("unicode_escape").decode(),
}


@pytest.mark.slow
@pytest.mark.parametrize("written", WRITTEN)
@settings(max_examples=times(50, 500))
@given(secret=SECRETS, before=TEXTS, after=TEXTS)
def test_a_secret_never_survives_however_it_is_written(written: str, secret: str, before: str, after: str) -> None:
    form = WRITTEN[written](secret)
    text = Scrubber([secret]).text(f"{before} {form} {after}")
    assert MASK in text
    assert secret not in text.replace(MASK, "")
    if written.startswith(("base64", "basic", "hex")) and written != "base64 twice":
        assert form.rstrip("=")[2:-2] not in text


@given(secrets=st.lists(SECRETS, max_size=4), document=JSON)
def test_scrubbing_twice_is_scrubbing_once(secrets: list[str], document: Any) -> None:
    scrubber = Scrubber(secrets)
    once = scrubber.document(document)
    assert scrubber.document(once) == once


@given(secrets=st.lists(st.text("ab*", min_size=6, max_size=9), max_size=4), text=st.text("ab*", max_size=40))
def test_secrets_that_overlap_each_other_and_the_mask_do_not_survive(secrets: list[str], text: str) -> None:
    scrubber = Scrubber(secrets)
    once = scrubber.text(text)
    assert scrubber.text(once) == once
    assert not any(secret in part for part in once.split(MASK) for secret in scrubber.values)


@given(secrets=st.lists(SECRETS, max_size=4), document=JSON)
def test_no_value_stays_anywhere_in_a_document(secrets: list[str], document: Any) -> None:
    assume(not any(names_secret(secret) for secret in secrets))  # such a word stays readable as a key
    planted = {"a": [document, *secrets], **{secret: f"x{secret}y" for secret in secrets}}
    text = json.dumps(Scrubber(secrets).document(planted), ensure_ascii=False).replace(MASK, "")
    for secret in secrets:
        assert json.dumps(secret, ensure_ascii=False)[1:-1] not in text


@given(document=JSON, text=TEXTS)
def test_what_holds_no_secret_is_unchanged(document: Any, text: str) -> None:
    scrubber = Scrubber(["hunter2-hunter2-hunter2", "correct horse battery"])
    assume(mask_document(document) == document)  # `{"secret": false}` has no value to find, and is masked
    assert scrubber.text(text) == text
    assert scrubber.document({"a": document}) == {"a": document}


@given(document=JSON)
def test_what_is_masked_already_names_no_new_value(document: Any) -> None:
    masked = Scrubber().document({"secrets": document})
    assert find_secret_values(masked) == set()
    assert Scrubber().document(masked) == masked


@pytest.mark.parametrize(
    "key",
    [
        "password", "PASSWORD", "db_password", "passwd", "token", "access-token", "X-Api-Key", "apiKey", "api key",
        "secret", "client_secret", "Authorization", "private_key", "privateKey", "credentials", "AWS_SECRET_ACCESS_KEY",
        "Set-Cookie", "db_pwd", "DB_PWD", "dbPwd", "smtp_pass", "smtpPass", "auth", "jwt", "userJWT", "sessionid",
        "session-id", "ssh_key", "otp", "otp_code", "pin", "user.pin", "signature", "x-signature", "dsn", "SENTRY_DSN",
        "connection_string", "connectionString",
    ],
)  # fmt: skip
def test_keys_that_name_a_secret_in_any_spelling(key: str) -> None:
    assert names_secret(key)
    assert Scrubber().document({"a": [{key: "1234"}]}) == {"a": [{key: MASK}]}


@pytest.mark.parametrize("key", [
        "symbol", "tokenizer", "key", "pass", "author", "tags", "correlation_id", "pinned", "pins", "pin_count",
        "oauth", "auth_url", "authority", "session", "signatures", "bypass", "pass_rate",
        "passed", "dsn_host", "opinion",
        "design", "adopt", "hotpink", "connection",
    ],
)  # fmt: skip
def test_keys_that_name_none(key: str) -> None:
    assert not names_secret(key)


PAIRS: list[tuple[Any, Any]] = [
    ({"name": "DB_PASSWORD", "value": "x"}, {"name": "DB_PASSWORD", "value": MASK}),
    ({"Name": "smtp_pass", "Value": ["x"]}, {"Name": "smtp_pass", "Value": [MASK]}),
    ({"key": "jwt", "value": 7_000, "kind": "env"}, {"key": "jwt", "value": MASK, "kind": "env"}),
    ({"name": "rows", "value": 7}, {"name": "rows", "value": 7}),
    ([["Authorization", "Bearer abc"], ["Host", "x"]], [["Authorization", MASK], ["Host", "x"]]),
    (("Cookie", "a=b"), ["Cookie", MASK]),
    (["password", "email"], ["password", "email"]),
    (["token", "a1", "b2"], ["token", "a1", "b2"]),
    (["tool", "--password", "x1", "-v"], ["tool", "--password", MASK, "-v"]),
    (["--token", "--verbose", "--max-tokens", 4096], ["--token", "--verbose", "--max-tokens", 4096]),
    (["--token-file", "/run/x", "--api-key"], ["--token-file", "/run/x", "--api-key"]),
    ({"auth": True, "last_pass": 12, "signature": False}, {"auth": True, "last_pass": 12, "signature": False}),
]


@pytest.mark.parametrize(("document", "clean"), PAIRS)
def test_the_value_of_a_pair_is_secret_where_its_name_is_one(document: Any, clean: Any) -> None:
    assert Scrubber().document({"a": document}) == {"a": clean}
    assert mask_document({"a": document}) == {"a": clean}


def test_the_value_of_a_pair_is_found_in_texts_too() -> None:
    values = find_secret_values(
        {
            "env": [{"name": "DB_PASSWORD", "value": "hunter2-and-more"}, ["Cookie", "id=swordfish"]],
            "args": ["-v", "--token", "abc-123"],
        }
    )
    assert values == {"hunter2-and-more", "id=swordfish", "abc-123"}


SAID = [
    ("login with password=hunter2 refused", "login with password=***masked*** refused"),
    ("password: Hunter2, user: me", "password: ***masked***, user: me"),
    ("db_pwd = 'hunter 2' at 12:30", "db_pwd = '***masked***' at 12:30"),
    ("GET https://x/y?api_key=abc&page=2 took 3 ms", "GET https://x/y?api_key=***masked***&page=2 took 3 ms"),
    ("url=https://x/?page=2&token=a.b-c#d", "url=https://x/?page=2&token=***masked***"),
    ("cannot reach postgres://me:p@ss@db:5432/x", "cannot reach postgres://me:***masked***@db:5432/x"),
    ("redis://:pw1@cache/0", "redis://:***masked***@cache/0"),
    ("Authorization: Bearer abc.def\nHost: x", "Authorization: ***masked***\nHost: x"),
    ("sent Bearer abc.def-ghi to x", "sent Bearer ***masked*** to x"),
    ("--smtp-pass=x1 --verbose", "--smtp-pass=***masked*** --verbose"),
    ('{"a": 1, "password": "a\\"b", "c": 2}', '{"a": 1, "password": "***masked***", "c": 2}'),
    ('said {"password": "a\\"b", "c": 2}', 'said {"password": "***masked***", "c": 2}'),
    (r'body "{\"token\": \"a b\", \"c\": 2}"', r'body "{\"token\": \"***masked***\", \"c\": 2}"'),
    ("{'secret': 'x y', 'c': 2} was sent", "{'secret': '***masked***', 'c': 2} was sent"),
    ('[{"name": "DB_PASSWORD", "value": "x1"}]', '[{"name": "DB_PASSWORD", "value": "***masked***"}]'),
    ('{"headers": [["Cookie", "a=b"]]}', '{"headers": [["Cookie", "***masked***"]]}'),
    ('{"token": "cut o', '{"token": "***masked***'),
]


@pytest.mark.parametrize(("text", "clean"), SAID)
def test_what_a_word_names_a_secret_is_masked_in_texts_and_the_rest_stays(text: str, clean: str) -> None:
    assert Scrubber().text(text) == clean
    assert Scrubber().document({"a": [text]}) == {"a": [clean]}
    assert Scrubber().text(clean) == clean


def test_a_setting_adds_names() -> None:
    assert Scrubber(extra=("Konto-Nr",)).document({"kontoNr": "x", "other": "x"}) == {"kontoNr": MASK, "other": "x"}


@pytest.mark.parametrize("extra", [(), ("2fa",), ("123",)])
def test_a_line_like_one_before_it_but_for_its_digits_is_masked_all_the_same(extra: tuple[str, ...]) -> None:
    scrubber = Scrubber(extra=extra)
    assert scrubber.text("retry 1 of 3: page=1234") == "retry 1 of 3: page=1234"
    assert scrubber.text("pa1ss1word=hunter2") == "pa1ss1word=hunter2"
    for key in ("password", *extra):
        assert scrubber.text(f"{key}=hunter2") == f"{key}={MASK}"
    assert scrubber.text("otp=1234") == f"otp={MASK}"


def test_a_number_of_tokens_is_not_a_token() -> None:
    assert Scrubber().document({"max_tokens": 4096, "token": 409600}) == {"max_tokens": 4096, "token": MASK}


def test_the_keys_under_a_secret_stay_readable_and_what_is_null_stays_null() -> None:
    document = {"secrets": {"broker": {"key": "k", "list": ["l", 1, True]}, "none": None}}
    masked = {"secrets": {"broker": {"key": MASK, "list": [MASK, MASK, MASK]}, "none": None}}
    assert Scrubber().document(document) == masked


def test_values_shorter_than_six_are_masked_by_their_key_alone() -> None:
    assert find_secret_values({"password": "12345", "token": 123456, "secret": "******"}) == {"123456", "******"}


def test_a_number_is_found_as_a_number_and_as_text() -> None:
    scrubber = Scrubber(find_secret_values({"pin": {"secret": 12345678}}))
    assert scrubber.document({"a": 12345678, "b": "no. 12345678."}) == {"a": MASK, "b": f"no. {MASK}."}


def test_of_secrets_inside_each_other_the_longest_goes_and_overlapping_ones_go_together() -> None:
    assert Scrubber(["hunter", "hunter2-long"]).text("hunter2-long hunter") == f"{MASK} {MASK}"
    assert Scrubber(["abcdef", "defghi"]).text("-abcdefghi-") == f"-{MASK}-"


def test_two_keys_that_hold_a_secret_stay_two() -> None:
    assert Scrubber(["hunter22", "hunter33"]).document({"hunter22": 1, "hunter33": 2}) == {MASK: 1, f"{MASK} (2)": 2}


def test_a_key_that_reads_as_the_mask_is_not_overwritten_by_one_that_is_masked() -> None:
    scrubber = Scrubber(["swordfish-99"])
    for name, under in (("swordfish-99", "data"), ("swordfish-99", "password")):
        clean = {MASK: "free", f"{MASK} (2)": "too"}
        for document in ({name: 1} | clean, clean | {name: 1}):
            assert len(scrubber.document({under: document})[under]) == 3
    assert scrubber.document({"swordfish-99": 1, MASK: 2}) == {f"{MASK} (2)": 1, MASK: 2}


@given(secrets=st.lists(SECRETS, min_size=1, max_size=3), data=st.data())
def test_a_document_keeps_the_number_of_its_keys(secrets: list[str], data: Any) -> None:
    names = [*secrets, MASK, f"{MASK} (2)", f"{MASK} (3)", "password", *(f"{secret}!" for secret in secrets)]
    keys = data.draw(st.lists(st.sampled_from(names) | TEXTS, unique=True, max_size=9))
    under = data.draw(st.sampled_from(["a", "password"]))
    document = {under: dict.fromkeys(keys, "value")}
    assert len(Scrubber(secrets).document(document)[under]) == len(keys)


def test_a_word_that_everybody_knows_stays_a_key() -> None:
    document = {"secrets": {"password": "password"}}
    assert Scrubber(find_secret_values(document)).document(document) == {"secrets": {"password": MASK}}


@pytest.mark.parametrize(
    ("value", "alone"),
    [
        ("Bearer abc.def.ghi", "abc.def.ghi"),
        ("postgresql://me:s3cret%21@db/x", "s3cret!"),
        (" padded-value\n", "padded-value"),
        ("-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----", "MIIEvQIBADANBgkq"),
    ],
)
def test_a_part_that_is_secret_by_itself_is_found_by_itself(value: str, alone: str) -> None:
    assert Scrubber(find_secret_values({"authorization": value})).text(f"sent {alone} off") == f"sent {MASK} off"


def test_who_is_blindfolded_shows_nothing() -> None:
    assert RedactEverything().document({"a": ["b"], "c": "d"}) == {"a": [MASK], "c": MASK}
