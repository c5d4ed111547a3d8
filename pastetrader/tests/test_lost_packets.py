"""A database whose host is gone, or an application: packets are lost, and nothing says so. In a network namespace of
its own, a connection by TCP loses the address that it leads to."""

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
from django.db import connection

from executions import unpooled_connection
from executions.upkeep import advisory_lock
from pastetrader.tests.live_server import ROOT
from pastetrader.tests.test_env import read_settings

LONGEST = 45  # seconds
ADDRESS = "10.9.0.1"
SCRIPT = f"""
import os, socket, subprocess, sys, threading, time
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "address", "add", "{ADDRESS}/32", "dev", "lo"], check=True)
listener = socket.create_server(("{ADDRESS}", 5432))

def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass

def serve():
    while True:
        client, server = listener.accept()[0], socket.socket(socket.AF_UNIX)
        server.connect(sys.argv[1])
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()

threading.Thread(target=serve, daemon=True).start()
import django
django.setup()
from django.db import OperationalError, connection
with connection.cursor() as cursor:
    cursor.execute("SELECT 1")
    subprocess.run(["ip", "address", "del", "{ADDRESS}/32", "dev", "lo"], check=True)
    try:
        cursor.execute("SELECT 1")
    except OperationalError:
        print("lost", flush=True)
    os._exit(0)
"""

SCRIPT_OF_SERVER = """
import os, subprocess, time
from pastetrader.tests import stock_postgres
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
with stock_postgres.server("127.0.0.1") as socket:
    import django, psycopg
    django.setup()
    from executions.upkeep.advisory_lock import upkeep_lock
    with psycopg.connect(host=str(socket), user="postgres", autocommit=True) as aside, upkeep_lock():
        print(*aside.execute(HELD).fetchone(), flush=True)
        subprocess.run(["ip", "address", "del", "127.0.0.1/8", "dev", "lo"], check=True)
        until = time.monotonic() + 45
        while aside.execute(HELD).fetchone() != (0,) and time.monotonic() < until:
            time.sleep(0.2)
        print(*aside.execute(HELD).fetchone(), flush=True)
"""


@pytest.fixture
def namespaces() -> None:
    """Skip if this user may make no network namespaces."""
    has_programs = shutil.which("unshare") and shutil.which("ip")
    if not has_programs or subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may make no network namespaces")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("namespaces")
def test_a_statement_whose_packets_are_lost_fails_within_45_seconds() -> None:
    found = connection.get_connection_params()
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://{found['user']}@{ADDRESS}:5432/{found['dbname']}",
        "DJANGO_SETTINGS_MODULE": "pastetrader.settings",
        "PYTHONPATH": str(ROOT),
    }
    path = f"{found['host']}/.s.PGSQL.{found.get('port') or 5432}"
    command = ["unshare", "--net", sys.executable, "-c", SCRIPT, path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.stdout == "lost\n", done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("namespaces")
def test_the_lock_of_an_upkeep_whose_host_is_gone_is_free_within_a_minute() -> None:
    """PostgreSQL would keep its session for two hours, and no other server would do upkeep."""
    environment = os.environ | {
        "DATABASE_URL": "postgresql://postgres@127.0.0.1:5432/postgres",
        "DJANGO_SETTINGS_MODULE": "pastetrader.settings",
        "PYTHONPATH": str(ROOT),
    }
    command = ["unshare", "--net", sys.executable, "-c", SCRIPT_OF_SERVER]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "1\n0\n", done.stderr


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_REPLICA_URL"])
def test_settings_of_the_session_in_the_address_are_added_to_ours_and_win(monkeypatch: Any, name: str) -> None:
    query = "options=-c%20search_path%3Dledger%20-c%20tcp_keepalives_idle%3D99"
    monkeypatch.setenv(name, f"postgresql://pastetrader@db.example/ledger?{query}")
    alias = "default" if name == "DATABASE_URL" else "replica"
    options = str(read_settings().DATABASES[alias]["OPTIONS"]["options"])
    assert "-c statement_timeout=" in options
    assert options.endswith("-c tcp_user_timeout=20000 -c search_path=ledger -c tcp_keepalives_idle=99")


def test_an_empty_one_is_for_a_pooler_that_refuses_all(monkeypatch: Any) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://pastetrader@pooler.example/ledger?options=")
    assert read_settings().DATABASES["default"]["OPTIONS"]["options"] == ""


def test_the_embedded_database_has_them_too(monkeypatch: Any) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert "-c tcp_keepalives_idle=20 " in read_settings().DATABASES["default"]["OPTIONS"]["options"]


@pytest.mark.django_db
def test_a_connection_past_a_pooler_has_those_of_both_addresses(settings: Any) -> None:
    known = connection.settings_dict
    direct = {name: known[name] for name in ("NAME", "HOST", "USER")} | {"OPTIONS": {"options": "-c work_mem=5MB"}}
    settings.EXECUTIONS = settings.EXECUTIONS | {"LISTENER_DATABASE": direct}
    with advisory_lock.connect() as session:
        assert session.execute("SHOW work_mem").fetchone() == ("5MB",)
    options = unpooled_connection.parameters()["options"]
    assert "-c tcp_user_timeout=20000" in options
    assert options.endswith(" -c work_mem=5MB")


def test_the_address_of_the_database_may_say_another_time(monkeypatch: Any) -> None:
    for query, milliseconds in (("", "20000"), ("?tcp_user_timeout=5000", "5000")):
        monkeypatch.setenv("DATABASE_URL", f"postgresql://pastetrader@db.example/ledger{query}")
        assert str(read_settings().DATABASES["default"]["OPTIONS"]["tcp_user_timeout"]) == milliseconds
