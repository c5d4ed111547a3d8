"""A database whose host is gone: packets to it are lost, and nothing says so. In a network namespace of its own, a
connection by TCP loses the address that it leads to."""

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
from django.db import connection

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


def has_namespaces() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not has_namespaces(), reason="this user may make no network namespaces")
@pytest.mark.django_db(transaction=True)
def test_a_statement_whose_packets_are_lost_fails_within_a_minute() -> None:
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


def test_the_address_of_the_database_may_say_another_time(monkeypatch: Any) -> None:
    for query, milliseconds in (("", "20000"), ("?tcp_user_timeout=5000", "5000")):
        monkeypatch.setenv("DATABASE_URL", f"postgresql://pastetrader@db.example/ledger{query}")
        assert str(read_settings().DATABASES["default"]["OPTIONS"]["tcp_user_timeout"]) == milliseconds
