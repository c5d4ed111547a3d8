"""The command of `make run`: prepare everything, then serve."""

import secrets
import signal
import socket
from argparse import BooleanOptionalAction
from itertools import count

import uvicorn
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.core.management.base import CommandParser

from executions.live import hub
from executions.models import WorkflowExecution
from local_postgres.lease import one_at_a_time
from pastetrader.command_errors import unreachable
from pastetrader.connections import CountedProtocol, allow_files
from pastetrader.static import collect_if_changed

HOST = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
MOST = 65_535  # the highest port
TOO_EARLY = "2011-06-30"  # a day for which no stock has the history that the market filter needs
EMBEDDED = "EMBEDDED" in settings.DATABASES["default"]


class Command(BaseCommand):
    help = (
        "Prepare the database, then serve the admin and the API until Ctrl-C. The embedded database gets a superuser "
        "and two demo runs the first time; a database of your own (DATABASE_URL) gets neither unless you ask for it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=HOST, help=f"the address to listen on ({HOST})")
        parser.add_argument("--port", type=int, default=8000)
        flag = BooleanOptionalAction
        parser.add_argument("--demo", action=flag, default=EMBEDDED, help="run the demo where the ledger is empty")
        parser.add_argument("--superuser", action=flag, default=EMBEDDED, help="make a superuser where there is none")

    def handle(self, *, host: str, port: int, demo: bool, superuser: bool, **options: object) -> None:
        listener = _listen(host, port)
        settings.LOCAL_DIR.mkdir(parents=True, exist_ok=True)
        if not EMBEDDED and (error := unreachable()):
            raise CommandError(error)
        with one_at_a_time(settings.LOCAL_DIR / "serve.lock"):
            self._prepare(demo=demo, superuser=superuser)
        self._serve(listener)

    def _prepare(self, *, demo: bool, superuser: bool) -> None:
        self._say("Preparing the database ...")
        call_command("migrate", interactive=False, verbosity=0)
        if collect_if_changed():
            self._say("Static files are collected.")
        if superuser:
            self._make_first_user()
        elif not get_user_model().objects.filter(is_superuser=True).exists():
            self._say("There is no superuser yet: `.venv/bin/python manage.py createsuperuser` makes one.")
        if demo and not WorkflowExecution.objects.exists():
            self._run_demos()

    def _run_demos(self) -> None:
        """Run the demo twice: a run that completes, and one that fails, to show how a failure is found."""
        self._say("The ledger is empty: running the demo workflow ...")
        self._run_demo("The demo did not succeed")
        self._say(f"Running it again for {TOO_EARLY}, which fails on purpose ...")
        self._run_demo("As meant, it failed", as_of=TOO_EARLY)

    def _run_demo(self, failure: str, **options: object) -> None:
        try:
            call_command("demo", **options)
        except CommandError as error:  # the failure is in the ledger, which can be served
            self._say(f"{failure}: {error}")

    def _make_first_user(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        name, password = _free_name(), secrets.token_urlsafe(12)
        users.create_superuser(username=name, password=password)
        self._say(f"Made the superuser {name}, password {password}")
        self._say(f"It is shown only now; `.venv/bin/python manage.py changepassword {name}` sets another.")

    def _serve(self, listener: socket.socket) -> None:
        server = Server(_config())
        for each in (signal.SIGINT, signal.SIGTERM):
            # Before uvicorn sets them itself, and instead of an exception that could strike, and be lost, anywhere.
            signal.signal(each, server.handle_exit)
        address = _address(listener)
        stops = "the server and its database" if EMBEDDED else "the server"
        if not {listener.getsockname()[0], "*"} & {HOST, "::1", *settings.ALLOWED_HOSTS}:
            names = ", ".join(settings.ALLOWED_HOSTS)
            self._say(f"It answers to the names {names} only: set ALLOWED_HOSTS for others.")
        if sentence := allow_files():
            self._say(sentence)
        self._say(f"Admin {address}/admin/\nAPI   {address}/api/v1/\nCtrl-C stops {stops}.")
        server.run(sockets=[listener])
        self._say("Stopped.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """It waits for every answer to end: streams do so when they are told."""
        hub.get_hub().close()
        await super().shutdown(sockets)


def _free_name() -> str:
    """Return an unused user name. An existing user called admin is not made a superuser, because it may belong to
    anybody."""
    taken = set(get_user_model().objects.values_list("username", flat=True).filter(username__startswith="admin"))
    names = ("admin" if number == 1 else f"admin{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises CommandError if the port is taken, before anything else is done."""
    if not 0 <= port <= MOST:  # getaddrinfo would silently use another port
        raise CommandError(f"There is no port {port}, they end at {MOST}. Choose another: make run PORT=8001")
    try:
        family, _kind, _protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror as exc:
        raise CommandError(f"{host} is not an address of this machine ({exc}): make run HOST=127.0.0.1") from exc
    except OSError as exc:
        raise CommandError(f"Port {port} of {host} cannot be used ({exc}). Choose another: make run PORT=8001") from exc


def _address(listener: socket.socket) -> str:
    """Return an address at which the server answers; if it listens everywhere, the first name in ALLOWED_HOSTS."""
    host, port = listener.getsockname()[:2]
    if host in EVERYWHERE:
        names = (name for name in settings.ALLOWED_HOSTS if name[0] not in "*.")
        return f"http://{next(names, host)}:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        "pastetrader.asgi:application",
        http=CountedProtocol,
        timeout_keep_alive=settings.TIMEOUT_IDLE,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
