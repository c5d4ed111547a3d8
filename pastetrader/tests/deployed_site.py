"""The site as docs/operate.md deploys it: a stock PostgreSQL, the server as its container starts it, and nginx with the
configuration in deploy/, all on 127.0.0.1."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

from pastetrader.tests import stock_postgres
from pastetrader.tests.live_server import ROOT

HOST, PREFIX = "ledger.example", "/ledger"
STREAMS = "~ ^/ledger/.*/stream/$"  # the location in deploy/nginx.conf
METRICS_TOKEN = "a-token-of-the-metrics"
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr; user root; worker_processes 1;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {site}
}}
"""


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class DeployedSite:
    """`plain` and `tls` are the ports of nginx, `direct` is that of the server, `code` the folder of its code, `more`
    environment of the server, and `cookie_path` that of its cookies."""

    folder: Path
    socket: Path
    direct: int
    plain: int
    tls: int
    code: Path = ROOT
    more: dict[str, str] = field(default_factory=dict)
    cookie_path: str = PREFIX
    process: subprocess.Popen[str] | None = None
    cookies: dict[str, str] = field(default_factory=dict)
    output: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "DATABASE_URL": f"postgresql://postgres@/ledger?host={self.socket}",
            "PASTETRADER_LOCAL": str(self.folder / "local"),
            "PASTETRADER_HTTPS": "1",
            "ALLOWED_HOSTS": HOST,
            "FORCE_SCRIPT_NAME": PREFIX,
            "METRICS_TOKEN": METRICS_TOKEN,
            "LOG_FORMAT": "json",
            **self.more,
        }

    def manage(self, *arguments: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=self.code, env=self.environment | more, text=True,
            capture_output=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def connect(self, *, tls: bool = True) -> http.client.HTTPConnection:
        """Connect to nginx, whose certificate is checked, as on the ports 443 and 80."""
        if not tls:
            return http.client.HTTPConnection("127.0.0.1", self.plain, timeout=30)
        context = ssl.create_default_context(cafile=str(self.folder / "ledger.crt"))
        connection = http.client.HTTPConnection("127.0.0.1", self.tls, timeout=30)
        connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", self.tls)), server_hostname=HOST)
        return connection

    def ask(self, method: str, path: str, body: Any = None, *, tls: bool = True, **headers: str) -> Answer:
        connection = self.connect(tls=tls)
        sent = {"Host": HOST, "Connection": "close", **{name.replace("_", "-"): it for name, it in headers.items()}}
        if self.cookies and "Authorization" not in sent:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        content = None if body is None else json.dumps(body)
        if content is not None:
            sent["Content-Type"] = "application/json"
        connection.request(method, path, content, sent)
        response = connection.getresponse()
        return read_and_close(connection, response)

    def post_form(self, path: str, **fields: str) -> Answer:
        """Post a form as a browser does that got its token with the page before."""
        fields["csrfmiddlewaretoken"] = self.cookies["csrftoken"]
        connection = self.connect()
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {
            "Host": HOST, "Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"https://{HOST}", "Connection": "close",
        }  # fmt: skip
        connection.request("POST", path, urlencode(fields), headers)
        response = connection.getresponse()
        self.keep_cookies(response.msg.get_all("Set-Cookie", []))
        return read_and_close(connection, response)

    def keep_cookies(self, lines: list[str]) -> None:
        for line in lines:
            assert f"Path={self.cookie_path};" in f"{line};", line
            assert "Secure" in line, line
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value

    def stop(self) -> tuple[int, float, list[dict[str, Any]]]:
        """End the server as a container is ended. Return its code, the seconds, and its log."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        self.output += out
        return self.process.returncode, time.monotonic() - began, [json.loads(line) for line in err.splitlines()]


def read_and_close(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Answer:
    with closing(connection), closing(response):
        return Answer(response.status, response.msg, response.read())


@contextmanager
def deployed_site(nginx: str, static: Path, folder: Path) -> Iterator[DeployedSite]:
    with stopped_site(nginx, folder) as site:
        (folder / "local" / "static").symlink_to(static)
        with serving(site, "--superuser"):
            yield site


@contextmanager
def site_of_stripping_proxy(nginx: str, site: DeployedSite) -> Iterator[DeployedSite]:
    """Run a second server and nginx for the same database. This nginx takes the prefix off and names it in a header."""
    folder = site.folder / "stripping"
    folder.mkdir()
    for name in ("ledger.crt", "ledger.key", "local"):
        (folder / name).symlink_to(site.folder / name)
    trusting = {"FORCE_SCRIPT_NAME": "", "PASTETRADER_FORWARDED_PREFIX": "1"}
    second = DeployedSite(folder, site.socket, *free_ports(3), site.code, trusting, "/", output=site.output)
    without_prefix = f"rewrite ^{PREFIX}(/.*)$ $1 break;"
    process = _start_nginx(
        nginx, second,
        *((f"location {where} {{", f"location {where} {{ {without_prefix}") for where in ("/ledger/", STREAMS)),
        ("proxy_http_version 1.1;", f"proxy_http_version 1.1; proxy_set_header X-Forwarded-Prefix {PREFIX};"),
    )  # fmt: skip
    try:
        with serving(second):
            yield second
    finally:
        _end(process)


@contextmanager
def stopped_site(nginx: str, folder: Path, code: Path = ROOT) -> Iterator[DeployedSite]:
    """Run PostgreSQL with an empty database, and nginx, for a server that does not run yet."""
    with ExitStack() as stack:
        site = DeployedSite(folder, stack.enter_context(stock_postgres.server()), *free_ports(3), code)
        with psycopg.connect(host=str(site.socket), user="postgres", autocommit=True) as session:
            session.execute("CREATE DATABASE ledger")
        (folder / "local").mkdir()
        _make_certificate(folder)
        stack.callback(_end, _start_nginx(nginx, site))
        yield site


@contextmanager
def serving(site: DeployedSite, *options: str) -> Iterator[None]:
    site.process = process = _start_server(site, *options)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            site.output += line
            if "Ctrl-C stops" in line:
                break
        assert process.poll() is None, process.communicate()[1]
        yield
    finally:
        _end(process)


def entrypoint() -> list[str]:
    """Return how the container starts the server."""
    [line] = re.findall(r"^ENTRYPOINT (\[.+\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    found: list[str] = json.loads(line)
    return found


def free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [listener.getsockname()[1] for listener in listeners]


def _start_server(site: DeployedSite, *options: str) -> "subprocess.Popen[str]":
    own = {"python": sys.executable, "0.0.0.0": "127.0.0.1", "8000": str(site.direct)}
    command = [own.get(word, word) for word in entrypoint()]
    return subprocess.Popen(
        [*command, "--workers", "1", *options], cwd=site.code, env=site.environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _start_nginx(nginx: str, site: DeployedSite, *changes: tuple[str, str]) -> "subprocess.Popen[str]":
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for old, new in (
        ("listen 80;", f"listen 127.0.0.1:{site.plain};"),
        ("listen 443 ", f"listen 127.0.0.1:{site.tls} "),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:{site.direct}"),
        ("/etc/nginx/", f"{site.folder}/"),
        *changes,
    ):
        assert old in text
        text = text.replace(old, new)
    path = site.folder / "nginx.conf"
    path.write_text(NGINX.format(folder=site.folder, site=text))
    return subprocess.Popen([nginx, "-p", site.folder, "-c", path], text=True, stderr=subprocess.DEVNULL)


def _make_certificate(folder: Path) -> None:
    subprocess.run(
        [
            shutil.which("openssl") or "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-addext",
            f"subjectAltName=DNS:{HOST}", "-keyout", folder / "ledger.key", "-out", folder / "ledger.crt",
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
    with suppress(ValueError):
        process.communicate()
