"""One POST to a webhook: to an address that was checked, without redirects, and over within its time whatever the
receiver does."""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from alerts.conf import alerts_settings

from .addresses import resolve

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Answer:
    """Status of the receiver's answer, and the seconds of its header Retry-After, if it has one."""

    status: int
    retry_after: int | None = None


class NoAnswer(Exception):
    """The receiver could not be reached, or did not answer in time."""


def post(address: str, headers: dict[str, str], body: bytes) -> Answer:
    """Send the body. Raises NoAnswer, and addresses.NotAllowed."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = CheckedConnection(host, port, is_secure=parts.scheme == "https")
    ends = threading.Timer(alerts_settings.SEND_SECONDS, connection.cut)
    ends.daemon = True
    ends.start()
    try:
        connection.request("POST", target, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return Answer(response.status, _seconds(response.getheader("Retry-After")))
    except (OSError, HTTPException, ValueError) as error:
        raise NoAnswer(_sentence(error, is_cut=connection.is_cut)) from error
    finally:
        ends.cancel()
        connection.close()


class CheckedConnection(HTTPConnection):
    """A connection to the address that was checked. `cut()` ends it from another thread: a time limit of the socket
    counts from each byte, of which a receiver may send one a second."""

    def __init__(self, host: str, port: int, *, is_secure: bool) -> None:
        super().__init__(host, port, timeout=alerts_settings.SEND_SECONDS)
        self.is_secure, self.is_cut = is_secure, False

    def connect(self) -> None:
        address = resolve(self.host, self.port)
        self.sock = socket.create_connection((address, self.port), self.timeout)
        if self.is_secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
        if self.is_cut:  # while there was no socket yet
            raise TimeoutError

    def cut(self) -> None:
        self.is_cut = True
        with suppress(AttributeError, OSError):  # not connected yet, or no longer
            self.sock.shutdown(socket.SHUT_RDWR)


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None


def _sentence(error: Exception, *, is_cut: bool) -> str:
    """Return what happened, without the address, which may be secret."""
    if is_cut or isinstance(error, TimeoutError):
        return f"No answer within {alerts_settings.SEND_SECONDS} s."
    return f"{type(error).__name__}: {error}"[:300] if isinstance(error, OSError) else f"{type(error).__name__}."
