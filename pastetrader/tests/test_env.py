"""A value of the environment is right, or the program stops with a sentence that names the variable."""

import re
import threading
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from executions.conf import fernet_key_from
from pastetrader import env, settings
from pastetrader.secret_key import read_or_make
from pastetrader.tests.live_server import ROOT
from pastetrader.tests.prepared_folder import manage


@pytest.mark.parametrize(
    ("text", "expected"), [("1", True), ("YES", True), (" on ", True), ("0", False), ("false", False)]
)
def test_a_flag_is_read(monkeypatch: pytest.MonkeyPatch, text: str, expected: bool) -> None:
    monkeypatch.setenv("X_FLAG", text)
    assert env.flag("X_FLAG") is expected


@pytest.mark.parametrize("text", ["maybe", "2"])
def test_a_bad_flag_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("X_FLAG", text)
    with pytest.raises(ImproperlyConfigured, match=f"X_FLAG is '{text}'"):
        env.flag("X_FLAG")


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "²", "0", "367", "9" * 5000])
def test_a_bad_number_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("X_NUMBER", text)
    with pytest.raises(ImproperlyConfigured, match=r"X_NUMBER is '.*'; it must be a whole number from 1 to 366"):
        env.number("X_NUMBER", 5, least=1, most=366)


LOUD = "LOG_LEVEL is 'loud'; it must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL."


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"LOG_LEVEL": "loud"}, LOUD),
        (
            {"DATABASE_POOL_MIN": "9", "DATABASE_POOL_MAX": "4"},
            "DATABASE_POOL_MIN is 9; it must not be more than DATABASE_POOL_MAX, 4.",
        ),
        (
            {"FORCE_SCRIPT_NAME": "/a/../b"},
            "FORCE_SCRIPT_NAME is '/a/../b'; it must be a path such as /ledger, without parts . and ..",
        ),
        ({"DATABASE_POOL_MAX": "1001"}, "DATABASE_POOL_MAX is '1001'; it must be a whole number from 1 to 1000."),
        (
            {"DATABASE_STATEMENT_TIMEOUT_MS": "99999999999"},
            "DATABASE_STATEMENT_TIMEOUT_MS is '99999999999'; it must be a whole number from 0 to 2147483647.",
        ),
        (
            {"EXECUTIONS_LOG_PARTITION_DAYS": "9999999999"},
            "EXECUTIONS_LOG_PARTITION_DAYS is '9999999999'; it must be a whole number from 1 to 366.",
        ),
        (
            {"EXECUTIONS_LOG_PARTITIONS_AHEAD": "521"},
            "EXECUTIONS_LOG_PARTITIONS_AHEAD is '521'; it must be a whole number from 1 to 520.",
        ),
        (
            {"THROTTLE_READ": "10001/min"},
            "THROTTLE_READ is '10001/min'; it must be like 600/min: 1 to 10000 per sec, min, hour or day.",
        ),
        (
            {"THROTTLE_WRITE": "5 a minute"},
            "THROTTLE_WRITE is '5 a minute'; it must be like 600/min: 1 to 10000 per sec, min, hour or day.",
        ),
        (
            {"EXECUTIONS_LOG_ID_DAYS": "3651"},
            "EXECUTIONS_LOG_ID_DAYS is '3651'; it must be a whole number from 1 to 3650.",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: dict[str, str], sentence: str
) -> None:
    for name, value in (values | {"PASTETRADER_LOCAL": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=f"^{re.escape(sentence)}$"):
        read_settings()


def read_settings() -> Any:
    """Return the settings, run in a module of its own, as a process does at its start."""
    spec = settings.__spec__
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(read := module_from_spec(spec))
    return read


def test_a_setting_that_is_refused_stops_the_start(tmp_path: Path) -> None:
    done = manage("check", local=tmp_path, LOG_LEVEL="loud")
    assert (done.returncode, done.stderr.splitlines()) == (1, [LOUD])


FOUND = """
import logging
from tokens.conf import tokens_settings
print(*(logging.getLevelName(logging.getLogger(name).getEffectiveLevel()) for name in
        ("pastetrader.startup", "workflows.x", "executions.partitions", "tokens.x", "uvicorn")))
print(tokens_settings.THROTTLE_READ, tokens_settings.THROTTLE_WRITE)
"""


@pytest.mark.parametrize(
    ("values", "levels", "throttles"),
    [
        ({"LOG_LEVEL": ""}, "INFO INFO INFO INFO WARNING", "None None"),
        (
            {"LOG_LEVEL": "debug", "THROTTLE_READ": "1/SEC", "THROTTLE_WRITE": "10000/day"},
            "DEBUG DEBUG DEBUG DEBUG DEBUG",
            "1/sec 10000/day",
        ),
    ],
)
def test_log_levels_are_those_of_all_our_code_and_throttles_those_that_are_set(
    tmp_path: Path, values: dict[str, str], levels: str, throttles: str
) -> None:
    """Both in one process, because each takes a second to start."""
    done = manage("shell", "--no-imports", "-c", FOUND, local=tmp_path, **values)
    assert done.stdout.splitlines()[-2:] == [levels, throttles], done.stderr


def test_what_is_unset_or_empty_takes_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_EMPTY", " ")
    assert env.number("X_EMPTY", 5) == 5
    assert env.text_list("X_EMPTY", "a, b,") == ["a", "b"]
    assert env.flag("X_UNSET", default=True) is True


def test_a_database_url_is_taken_apart_and_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_URL", "postgresql://us%40er:p%2Fw%20d@[::1]:5433/my%20db?sslmode=require&connect_timeout=3")
    assert env.database("X_URL") == {
        "NAME": "my db",
        "USER": "us@er",
        "PASSWORD": "p/w d",
        "HOST": "::1",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require", "connect_timeout": "3"},
    }


def test_a_socket_folder_may_be_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_URL", "postgresql:///ledger?host=%2Fvar%2Frun%2Fpostgresql")
    found = env.database("X_URL")
    assert (found["HOST"], found["NAME"], found["OPTIONS"]) == ("/var/run/postgresql", "ledger", {})


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/db", "postgresql://u:secret@h/", "postgresql://u:secret@h:port/db", "secret"]
)
def test_a_bad_database_url_is_named_and_its_password_is_not_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("X_URL", url)
    with pytest.raises(ImproperlyConfigured, match="X_URL") as refused:
        env.database("X_URL")
    assert "secret" not in str(refused.value)


def test_the_secret_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "local" / "secret_key"
    key = read_or_make(path)
    assert len(key) >= 50
    assert read_or_make(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["secret_key"]


def test_many_who_make_the_secret_key_at_once_read_the_same(tmp_path: Path) -> None:
    keys: set[str] = set()
    threads = [threading.Thread(target=lambda: keys.add(read_or_make(tmp_path / "secret_key"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 1


def test_a_number_of_days_may_be_never(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, days in (("", 180), ("7", 7), ("never", None), ("NEVER", None)):
        monkeypatch.setenv("EXECUTIONS_RUN_DAYS", value)
        assert env.optional_numbers(settings.ExecutionsSettings, "EXECUTIONS_")["RUN_DAYS"] == days
    monkeypatch.setenv("EXECUTIONS_RUN_DAYS", "0")
    with pytest.raises(ImproperlyConfigured, match="EXECUTIONS_RUN_DAYS is '0'; it must be a whole number from 1 to"):
        env.optional_numbers(settings.ExecutionsSettings, "EXECUTIONS_")


def test_the_settings_page_lists_every_variable_that_is_read() -> None:
    sources = (ROOT / "pastetrader" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', sources))
    for app, prefix, but in re.findall(r'env\.numbers\((\w+), "(\w*)"(?:, but=\{(.*?)\})?\)', sources):
        left_out = re.findall(r'"(\w+)"', but)
        read |= {f"{prefix}{name}" for name in env.numbers(getattr(settings, app), prefix, left_out)}
    read |= {f"EXECUTIONS_{name}" for name in env.optional_numbers(settings.ExecutionsSettings, "EXECUTIONS_")}
    rows = re.findall(r"^\| (`[A-Z].*?) \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    assert read == set(re.findall(r"`(\w+)`", " ".join(rows)))


def test_a_key_that_is_none_is_named_by_its_place_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    good = fernet_key_from("anything")
    monkeypatch.setenv("KEYS", f"{good}, half-a-key")
    with pytest.raises(ImproperlyConfigured, match="KEYS holds 2 keys, and number 2 is none") as refusal:
        env.fernet_keys("KEYS")
    assert "half-a-key" not in str(refusal.value)
    monkeypatch.setenv("KEYS", f"{good},{good}")
    assert env.fernet_keys("KEYS") == [good, good]


@pytest.mark.parametrize(("value", "is_on"), [("", True), ("1", True), ("0", False)])
def test_prepared_statements_can_be_turned_off_for_a_pooler(
    monkeypatch: pytest.MonkeyPatch, value: str, is_on: bool
) -> None:
    monkeypatch.setenv("DATABASE_PREPARE", value)
    options = read_settings().DATABASES["default"]["OPTIONS"]
    assert ("prepare_threshold" in options, options.get("server_side_binding", False)) == (is_on, is_on)
