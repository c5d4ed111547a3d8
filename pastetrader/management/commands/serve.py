"""The command of `make run`: prepare everything, then serve, in one process or several."""

import importlib
import os
import secrets
import signal
import socket
from argparse import BooleanOptionalAction
from collections.abc import Callable
from functools import partial
from itertools import count

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.core.management.base import CommandParser
from django.db import connection

from executions.conf import executions_settings
from executions.models import WorkflowExecution
from local_postgres.lease import exclusive_lock
from local_postgres.server import ensure, release_all
from pastetrader.collect_static import collect_if_changed
from pastetrader.command_errors import unreachable
from pastetrader.connection_limits import allow_files
from pastetrader.listening_sockets import EVERYWHERE, address_of, allow_address, default_workers, listen
from pastetrader.pool_size import limit_pools
from pastetrader.server import serve, stop_threads
from pastetrader.upkeep_process import run_upkeep
from pastetrader.workers import STOP, Workers

HOST = "127.0.0.1"
MOST_WORKERS = 64
TOO_EARLY = "2011-06-30"  # a day for which no stock has the history that the market filter needs
EMBEDDED = "EMBEDDED" in settings.DATABASES["default"]

# Without what the server keeps for its superusers.
ALLOWED = """
SELECT least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
    nullif(rolconnlimit, -1), nullif(datconnlimit, -1))
FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()
"""


class Command(BaseCommand):
    help = (
        "Prepare the database, then serve the admin and the API until Ctrl-C. The embedded database gets a superuser "
        "and two demo runs the first time; a database of your own (DATABASE_URL) gets neither unless you ask for it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=HOST, help=f"the address to listen on ({HOST})")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--workers",
            type=int,
            choices=range(1, MOST_WORKERS + 1),
            metavar="N",
            default=min(default_workers(), MOST_WORKERS),
            help="processes that share the port (as many as there are cores)",
        )
        flag = BooleanOptionalAction
        parser.add_argument("--demo", action=flag, default=EMBEDDED, help="run the demo where the ledger is empty")
        parser.add_argument("--superuser", action=flag, default=EMBEDDED, help="make a superuser where there is none")

    def handle(self, *, host: str, port: int, workers: int, demo: bool, superuser: bool, **options: object) -> None:
        listeners = listen(host, port, workers)
        settings.LOCAL_DIR.mkdir(parents=True, exist_ok=True)
        if not EMBEDDED and (error := unreachable()):
            raise CommandError(error)
        with exclusive_lock(settings.LOCAL_DIR / "serve.lock"):
            self._prepare(demo=demo, superuser=superuser)
        self._serve(listeners)

    def _prepare(self, *, demo: bool, superuser: bool) -> None:
        self._print("Preparing the database ...")
        call_command("migrate", interactive=False, verbosity=0)
        if collect_if_changed():
            self._print("Static files are collected.")
        if superuser:
            self._make_first_user()
        elif not get_user_model().objects.filter(is_superuser=True).exists():
            self._print("There is no superuser yet: `.venv/bin/python manage.py createsuperuser` makes one.")
        if demo and not WorkflowExecution.objects.exists():
            self._run_demos()

    def _run_demos(self) -> None:
        """Run the demo twice: a run that completes, and one that fails, to show how a failure is found."""
        self._print("The ledger is empty: running the demo workflow ...")
        self._run_demo("The demo did not succeed")
        self._print(f"Running it again for {TOO_EARLY}, which fails on purpose ...")
        self._run_demo("As meant, it failed", as_of=TOO_EARLY)

    def _run_demo(self, failure: str, **options: object) -> None:
        try:
            call_command("demo", **options)
        except CommandError as error:  # the failure is in the ledger, which can be served
            self._print(f"{failure}: {error}")

    def _make_first_user(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        name, password = _free_name(), secrets.token_urlsafe(12)
        users.create_superuser(username=name, password=password)
        self._print(f"Made the superuser {name}, password {password}")
        self._print(f"It is shown only now; `.venv/bin/python manage.py changepassword {name}` sets another.")

    def _serve(self, listeners: list[socket.socket]) -> None:
        allow_address(listeners[0])
        address = address_of(listeners[0])
        stops = "the server and its database" if EMBEDDED else "the server"
        if listeners[0].getsockname()[0] in EVERYWHERE and "*" not in settings.ALLOWED_HOSTS:
            names = ", ".join(settings.ALLOWED_HOSTS)
            self._print(f"It answers to the names {names} only: set ALLOWED_HOSTS for others.")
        workers, too_few_connections = limit_pools(len(listeners), _allowed_connections())
        for sentence in filter(None, (allow_files(), too_few_connections)):
            self._print(sentence)
        for unused in listeners[workers:]:
            unused.close()
        importlib.import_module("pastetrader.asgi")  # once for all workers
        _release_database()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # until the server or its parent handles them
        self._print(f"Admin {address}/admin/\nAPI   {address}/api/v1/\nCtrl-C stops {stops}.")
        jobs: list[Callable[[], None]] = [partial(_serve_one, listeners[:workers], each) for each in range(workers)]
        if executions_settings.UPKEEP_EVERY_SECONDS:
            jobs.append(partial(_run_upkeep, listeners[:workers]))
        if len(jobs) > 1:
            Workers(jobs).run()
        else:
            serve(listeners[0])
        self._print("Stopped.")
        if len(jobs) == 1:
            _end_if_working()

    def _print(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _free_name() -> str:
    """Return an unused user name. An existing user called admin is not made a superuser, because it may belong to
    anybody."""
    taken = set(get_user_model().objects.values_list("username", flat=True).filter(username__startswith="admin"))
    names = ("admin" if number == 1 else f"admin{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _allowed_connections() -> int:
    """Return how many connections the database allows this role."""
    with connection.cursor() as cursor:
        cursor.execute(ALLOWED)
        return int(cursor.fetchone()[0])


def _serve_one(listeners: list[socket.socket], number: int) -> None:
    """Serve in a worker, on the socket of its number."""
    for other in listeners[:number] + listeners[number + 1 :]:
        other.close()
    ensure(settings.DATABASES["default"])  # so that the last of them to end stops it, if their parent is killed
    try:
        serve(listeners[number])
    finally:
        _end_if_working()
        _release_database()
        release_all()


def _run_upkeep(listeners: list[socket.socket]) -> None:
    """Do upkeep in a process of its own, which would keep the port if it did not close the sockets."""
    for each in listeners:
        each.close()
    try:
        run_upkeep()
    finally:
        _release_database()
        release_all()


def _end_if_working() -> None:
    """End this process at once if threads still work on requests: Python's own end would cut them
    off anywhere in their code."""
    if stop_threads():
        _release_database()
        release_all()
        os._exit(0)


def _release_database() -> None:
    """Close this thread's connection and the pool, which a process must not share with one that it forks."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # of PostgreSQL's wrapper
