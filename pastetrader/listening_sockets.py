"""The sockets that `manage.py serve` listens on: one for each of its processes, all of one address."""

import os
import socket
import sys

from django.conf import settings
from django.core.management import CommandError

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
MAX_PORT = 65_535  # the highest port


def default_workers() -> int:
    """Return the number of cores on Linux. Elsewhere a port is not shared evenly, and forking is not always safe."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def listen(host: str, port: int, number: int = 1) -> list[socket.socket]:
    """Return sockets among which the system distributes connections. Raise CommandError where the port is taken."""
    first = _listen(host, port)
    if number == 1:
        return [first]
    family, address = first.family, first.getsockname()[:2]
    first.close()  # it only checks that the port is free: sockets that share a port would not notice another server
    return [socket.create_server(address, family=family, reuse_port=True) for _ in range(number)]


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= MAX_PORT:  # getaddrinfo would silently use another port
        raise CommandError(f"There is no port {port}, they end at {MAX_PORT}. Choose another: make run PORT=8001")
    try:
        family, _kind, _protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror as exc:
        raise CommandError(f"{host} is not an address of this machine ({exc}): make run HOST=127.0.0.1") from exc
    except OSError as exc:
        raise CommandError(f"Port {port} of {host} cannot be used ({exc}). Choose another: make run PORT=8001") from exc


def allow_address(listener: socket.socket) -> None:
    """Add the address to ALLOWED_HOSTS, unless the server listens everywhere: clients that reach it name it."""
    host = listener.getsockname()[0]
    if host not in EVERYWHERE:
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, f"[{host}]" if ":" in host else host]


def address_of(listener: socket.socket) -> str:
    """Return an address that answers: of a server that listens everywhere, its first name in ALLOWED_HOSTS."""
    host, port = listener.getsockname()[:2]
    if host in EVERYWHERE:
        names = (name for name in settings.ALLOWED_HOSTS if name[0] not in "*.")
        return f"http://{next(names, host)}:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
