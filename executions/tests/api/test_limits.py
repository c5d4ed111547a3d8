"""Limits of a body: its size, compression and charset; errors name the place in it."""

import gzip
import json
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig, ValidationError
from django.test import Client
from rest_framework.exceptions import ParseError

from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.db.models import uuid7
from ledgerkit.rest.decompression import gunzip, unzstd, zstd
from workflows.models import Workflow

RUNS = "/api/v1/executions/"
JSON = "application/json"
LIMIT = 20_000
WEST = timezone(timedelta(hours=-1))


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    return WorkflowExecutionFactory(workflow=workflow)


@pytest.fixture
def logs(run: WorkflowExecution) -> str:
    return f"{RUNS}{run.pk}/logs/"


def send(client: Any, url: str, body: bytes, content_type: str = JSON, **headers: str) -> Any:
    return client.generic("POST", url, body, content_type=content_type, headers=headers)


def compress(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


FORM = b'--x\r\nContent-Disposition: form-data; name="level"\r\n\r\ninfo\r\n--x--\r\n'
LINE = b'{"level": "info", "message": "packed"}'


class TestPlaces:
    @pytest.mark.parametrize(
        ("text", "pointer", "said"),
        [
            ('{"data": {"a": [1, "\\u0000"]}}', "/data/a/1", "NUL"),
            ('{"data": {"a": {"b\\u0000": 1}}}', "/data/a", "a key: the character NUL"),
            ('{"data": {"a": "\\ud800"}}', "/data/a", "surrogate"),
            ('{"data": {"a/b": {"c~d": "\\ud800"}}}', "/data/a~1b/c~0d", "surrogate"),
            ('{"data": {"a": NaN}}', "/data/a", "finite"),
            ('{"data": {"a": [0, -Infinity]}}', "/data/a/1", "finite"),
            ('{"data": {"a": 1e400}}', "/data/a", "finite"),
            ('{"data": {"a": ' + "9" * 4301 + "}}", "/data/a", "4300 digits"),
            ('{"data": ' + '{"a":' * 64 + "1" + "}" * 64 + "}", "/data" + "/a" * 63, "deeper than 64"),
            ("NaN", "", "finite"),
        ],
    )
    def test_what_cannot_be_stored_is_400_with_its_pointer(
        self, api: Any, owner: Any, logs: str, text: str, pointer: str, said: str
    ) -> None:
        answer = send(api(owner), logs, text.encode())
        assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (400, [pointer])
        assert said in answer.json()["errors"][0]["detail"]
        assert not ExecutionLog.objects.exists()

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b'{"level": "info", "message": "a", "message": "b"}', "“message” occurs twice"),
            (b'{"level": "info", "message": "a", "data": {"x": {"y": 1, "y": 1}}}', "“y” occurs twice"),
            (b'{"level": "info", "message": "\xe9"}', "byte 31 is 0xe9"),
            (b'{"level": "info", ', "line 1 column"),
            (b"\xff\xfe{\x00}\x00", "byte 1 is 0xff"),
            (b"[" * 100_000, "deeper than 64"),
            (b"[" + b"9" * 5000 + b"," + b"[" * 100_000, "deeper than 64"),
        ],
    )
    def test_what_is_no_json_in_utf8_is_400_and_says_where(
        self, api: Any, owner: Any, logs: str, body: bytes, said: str
    ) -> None:
        answer = send(api(owner), logs, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
        assert said in answer.json()["detail"]
        assert not ExecutionLog.objects.exists()


class TestTimes:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "time",
        [
            "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:59:59+01:00",
            "9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+14:00", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z",
            "2026-11-23T25:00:00Z", "2026-11-23T09:00:00+25:00", "yesterday", "", "1764000000", 1764000000, 1.5, True,
            [], {},
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("many", [False, True])
    def test_one_outside_of_1970_to_9999_is_400_with_its_place(
        self, api: Any, owner: Any, logs: str, time: Any, many: bool
    ) -> None:
        line = {"level": "info", "message": "x", "timestamp": time}
        answer = api(owner).post(logs, [line] if many else line, format="json")
        error = answer.json()["errors"][0]
        assert (answer.status_code, error["pointer"]) == (400, "/0/timestamp" if many else "/timestamp")
        assert "of the years 1970 to 9999" in error["detail"]
        assert not ExecutionLog.objects.exists()

    @pytest.mark.parametrize(
        ("time", "stored"),
        [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00Z"),
            ("2026-11-23T09:00:00+0530", "2026-11-23T03:30:00Z"),
            ("2026-11-23T09:00:00", "2026-11-23T09:00:00Z"),
            ("2026-11-23 09:00", "2026-11-23T09:00:00Z"),
        ],
    )
    def test_one_within_them_is_kept_in_utc_which_is_meant_where_none_is_named(
        self, api: Any, owner: Any, logs: str, time: str, stored: str
    ) -> None:
        client = api(owner)
        made = client.post(logs, {"level": "info", "message": "x", "timestamp": time}, format="json")
        assert (made.status_code, made.json()["timestamp"]) == (201, stored)
        assert client.get(logs).json()["results"][0]["timestamp"] == stored

    @pytest.mark.parametrize("time", [datetime(1969, 12, 31, tzinfo=UTC), datetime.max.replace(tzinfo=WEST)])
    def test_a_line_made_in_process_has_the_same_limits(self, run: WorkflowExecution, time: datetime) -> None:
        line = ExecutionLog(workflow_execution=run, level="info", message="x", timestamp=time)
        with pytest.raises(ValidationError, match="timestamp: Expected a time"):
            line.save()
        with pytest.raises(ValidationError, match="timestamp: Expected a time"):
            ExecutionLog.objects.bulk_create([line])

    def test_an_id_of_a_later_time_is_400(self, api: Any, owner: Any, workflow: Workflow) -> None:
        body = {"id": "f" * 8 + "-ffff-7fff-bfff-" + "f" * 12, "workflow": str(workflow.pk), "trigger_type": "manual"}
        answer = api(owner).post(RUNS, body, format="json")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/id")
        assert "9999" in answer.json()["errors"][0]["detail"]


class TestContentTypes:
    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("text/plain", LINE),
            ("application/x-www-form-urlencoded", b"level=info&message=x"),
            ("multipart/form-data; boundary=x", FORM),
            ("application/xml", b"<level>info</level>"),
            ("application/jsonp", LINE),
            ("", LINE),
            ("application/json; charset=utf-16", LINE.decode().encode("utf-16")),
            ("application/json; charset=latin-1", b'{"level": "info", "message": "\xe9"}'),
            ("application/json; charset=zlib", zlib.compress(LINE)),
            ("application/json; charset=rot13", LINE),
            ("application/json; charset=nothing", LINE),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "key"}])
    def test_another_than_json_in_utf8_is_415_and_says_what_is_taken(
        self, api: Any, owner: Any, logs: str, content_type: str, body: bytes, key: dict[str, str]
    ) -> None:
        answer = send(api(owner), logs, body, content_type, **key)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert (answer["Accept"], "Accept-Encoding" in answer) == (JSON, False)
        assert "JSON" in answer.json()["detail"]
        assert not ExecutionLog.objects.exists()

    @pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "key"}])
    def test_a_form_in_a_session_is_no_other(self, logs: str, staff: Any, key: dict[str, str]) -> None:
        """Its check against forged requests has read the form by then."""
        client = Client(enforce_csrf_checks=True)
        client.force_login(staff)
        client.get("/admin/")
        client.get("/admin/password_change/")
        token = client.cookies["csrftoken"].value
        answer = client.post(logs, {"level": "info"}, headers={"X-CSRFToken": token, **key})
        assert (answer.status_code, answer["Content-Type"]) == (415, "application/problem+json")

    @pytest.mark.parametrize(
        "content_type",
        [
            JSON,
            "application/json; charset=utf-8",
            'application/json; charset="UTF-8"',
            "Application/JSON;charset=ascii",
        ],
    )
    def test_json_in_utf8_is_taken_with_a_byte_order_mark_too(
        self, api: Any, owner: Any, logs: str, content_type: str
    ) -> None:
        for body in (LINE, b"\xef\xbb\xbf" + LINE):
            assert send(api(owner), logs, body, content_type).status_code == 201

    def test_a_verb_without_a_body_needs_none(self, api: Any, owner: Any, run: WorkflowExecution) -> None:
        assert send(api(owner), f"{RUNS}{run.pk}/start/", b"", "").status_code == 200


class TestGzip:
    @pytest.mark.parametrize("coding", ["gzip", "GZIP", " x-gzip "])
    def test_a_packed_body_is_taken(self, api: Any, owner: Any, logs: str, coding: str) -> None:
        answer = send(api(owner), logs, compress(LINE), **{"Content-Encoding": coding})
        assert (answer.status_code, answer.json()["message"]) == (201, "packed")

    def test_identity_is_the_body_as_it_is(self, api: Any, owner: Any, logs: str) -> None:
        assert send(api(owner), logs, LINE, **{"Content-Encoding": "identity"}).status_code == 201

    @pytest.mark.parametrize("coding", ["br", "deflate", "gzip, zstd", "gzip, gzip", "*", "x" * 1000])
    def test_another_coding_is_415_and_says_which_is_taken(self, api: Any, owner: Any, logs: str, coding: str) -> None:
        answer = send(api(owner), logs, compress(LINE), **{"Content-Encoding": coding})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_encoding")
        assert (answer["Accept-Encoding"], "Accept" in answer) == ("gzip, zstd", False)
        assert not ExecutionLog.objects.exists()

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (LINE, "not valid gzip"),
            (zlib.compress(LINE), "not valid gzip"),
            (compress(LINE)[:-12] + bytes(12), "not valid gzip"),
            (compress(LINE)[:-1], "cut off"),
            (compress(LINE)[:12], "cut off"),
            (compress(LINE) + b"x", "goes on"),
            (compress(LINE) + compress(b""), "goes on"),
        ],
    )
    def test_a_broken_one_is_400_and_says_how(self, api: Any, owner: Any, logs: str, body: bytes, said: str) -> None:
        answer = send(api(owner), logs, body, **{"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
        assert said in answer.json()["detail"]
        assert not ExecutionLog.objects.exists()

    def test_the_limit_is_on_the_unpacked_size(self, api: Any, owner: Any, logs: str, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = LIMIT
        fits = json.dumps({"level": "info", "message": "x"}).encode().ljust(LIMIT)
        client, coding = api(owner), {"Content-Encoding": "gzip"}
        assert send(client, logs, compress(fits), **coding).status_code == 201
        answer = send(client, logs, compress(fits + b" "), **coding)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert ExecutionLog.objects.count() == 1

    def test_the_packed_size_has_the_same_limit(self, api: Any, owner: Any, logs: str, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
        body = compress(LINE) + bytes(1_000)
        assert send(api(owner), logs, body, **{"Content-Encoding": "gzip"}).status_code == 413

    def test_a_bomb_is_not_unpacked(self) -> None:
        """64 MB of it in 64 KB: what is kept of them is the limit, and not a multiple of it."""
        bomb = gzip.compress(bytes(64_000_000))
        tracemalloc.start()
        try:
            with pytest.raises(RequestDataTooBig):
                gunzip(bomb, 100_000)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()

    def test_nobody_without_a_token_has_one_unpacked(self, api: Any, logs: str) -> None:
        assert send(api(), logs, b"no gzip", **{"Content-Encoding": "gzip"}).status_code == 401

    def test_any_part_of_one_is_refused(self) -> None:
        whole = compress(LINE)
        assert gunzip(whole, 1_000) == LINE
        for end in range(len(whole)):
            with pytest.raises(ParseError):
                gunzip(whole[:end], 1_000)

    def test_a_key_is_of_what_was_packed_however_it_was(self, api: Any, owner: Any, logs: str) -> None:
        client, body = api(owner), json.dumps({"id": str(uuid7()), "level": "info", "message": "x"}).encode()
        sent = [
            send(client, logs, gzip.compress(body, level), **{"Content-Encoding": "gzip", "Idempotency-Key": "key"})
            for level in (1, 9)
        ]
        sent.append(send(client, logs, body, **{"Idempotency-Key": "key"}))
        assert ["Idempotent-Replayed" in answer for answer in sent] == [False, True, True]
        assert len({answer.content for answer in sent}) == 1
        other = send(client, logs, compress(body + b" "), **{"Content-Encoding": "gzip", "Idempotency-Key": "key"})
        assert (other.status_code, ExecutionLog.objects.count()) == (422, 1)


class TestZstd:
    def test_a_packed_body_is_taken(self, api: Any, owner: Any, logs: str) -> None:
        answer = send(api(owner), logs, zstd.compress(LINE), **{"Content-Encoding": "zstd"})
        assert (answer.status_code, answer.json()["message"]) == (201, "packed")

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (compress(LINE), "not valid zstd"),
            (zstd.compress(LINE)[:-1], "cut off"),
            (zstd.compress(LINE) + b"x", "goes on"),
            (
                zstd.compress(bytes(9_000_000), options={zstd.CompressionParameter.window_log: 24}),
                "not valid zstd",
            ),
        ],
    )
    def test_a_broken_one_is_400_and_says_how(self, api: Any, owner: Any, logs: str, body: bytes, said: str) -> None:
        answer = send(api(owner), logs, body, **{"Content-Encoding": "zstd"})
        assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
        assert said in answer.json()["detail"]

    def test_a_bomb_is_not_unpacked(self) -> None:
        with pytest.raises(RequestDataTooBig):
            unzstd(zstd.compress(bytes(64_000_000)), 100_000)
