"""What `make run` runs: everything is made ready, then served, in one process that ends as one."""

import secrets
import signal
import socket
from itertools import count
from typing import Any

import uvicorn
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.core.management.base import CommandParser

from executions.live import hub
from executions.models import WorkflowExecution
from pastetrader.postgres.lease import one_at_a_time
from pastetrader.static import collect_if_changed

HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Prepare the database, then serve the admin and the API on 127.0.0.1. Ctrl-C stops everything."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--no-demo", action="store_true", help="leave an empty ledger empty")

    def handle(self, *, port: int, no_demo: bool, **options: Any) -> None:
        listener = _listen(port)
        settings.LOCAL_DIR.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(settings.LOCAL_DIR / "serve.lock"):
            self._prepare(demo=not no_demo)
        self._serve(listener)

    def _prepare(self, *, demo: bool) -> None:
        self._say("Preparing the database ...")
        call_command("migrate", interactive=False, verbosity=0)
        if collect_if_changed():
            self._say("Static files are collected.")
        self._make_first_user()
        if demo and not WorkflowExecution.objects.exists():
            self._say("The ledger is empty: running the demo workflow ...")
            self._run_demo()

    def _run_demo(self) -> None:
        try:
            call_command("demo")
        except CommandError as error:  # what went wrong is in the ledger, which can be served
            self._say(f"The demo did not succeed: {error}")

    def _make_first_user(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        name, password = _free_name(), secrets.token_urlsafe(12)
        users.create_superuser(username=name, password=password)
        self._say(f"Made the staff user {name}, password {password}")
        self._say(f"It is shown only now; `.venv/bin/python manage.py changepassword {name}` sets another.")

    def _serve(self, listener: socket.socket) -> None:
        server = Server(_config())
        for each in (signal.SIGINT, signal.SIGTERM):
            # Before uvicorn sets them itself, and instead of an exception that could strike, and be lost, anywhere.
            signal.signal(each, server.handle_exit)
        address = "http://{}:{}".format(*listener.getsockname())
        self._say(f"Admin {address}/admin/\nAPI   {address}/api/v1/\nCtrl-C stops the server and the database.")
        server.run(sockets=[listener])
        self._say("Stopped.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """It waits for every answer to end: streams do so when they are told."""
        hub.here().close()
        await super().shutdown(sockets)


def _free_name() -> str:
    """Whoever has the name admin already may be anybody: it is not for us to make them a superuser."""
    taken = set(get_user_model().objects.values_list("username", flat=True).filter(username__startswith="admin"))
    names = ("admin" if number == 1 else f"admin{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _listen(port: int) -> socket.socket:
    """Before anything is done: whoever holds the port is told at once, by name."""
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as exc:
        raise CommandError(f"Port {port} cannot be used ({exc}). Choose another: make run PORT=8001") from exc


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        "pastetrader.asgi:application",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
