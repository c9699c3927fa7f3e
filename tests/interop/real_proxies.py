"""Proxies that others wrote, running beside the tests.

HTTP CONNECT: proxy.py, and tinyproxy in C. SOCKS: tiny-proxy (4, 4a, 5), and microsocks (5) in C.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..support.require import require, require_package
from .authority import Credentials
from .processes import PATIENCE, first_line, python, running, running_on_a_port

USER = "rider"
PASSWORD = "c@ble:42/x"
"""What a URI must escape."""
PLAIN_PASSWORD = "cable42"
"""tinyproxy takes no punctuation."""

TINY_PROXY = Path(__file__).with_name("tiny_proxy_runner.py")


@dataclass(frozen=True)
class RealProxy:
    port: int
    password: str = ""

    def uri(self, scheme: str, *, user: str = "", password: str = "") -> str:
        info = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"{scheme}://{info}127.0.0.1:{self.port}"

    def uri_with_credentials(self, scheme: str) -> str:
        return self.uri(scheme, user=USER, password=self.password)


@contextlib.contextmanager
def proxy_py(
    folder: Path, *, password: str = "", tls: Credentials | None = None
) -> Iterator[RealProxy]:
    require_package("proxy")
    port_file = folder / "port"
    command = python("-m", "proxy", "--hostname", "127.0.0.1", "--port", "0")
    command += ["--port-file", str(port_file), "--data-dir", str(folder), "--log-level", "e"]
    command += ["--num-workers", "1", "--num-acceptors", "1"]
    if password:
        command += ["--basic-auth", f"{USER}:{password}"]
    if tls:
        command += ["--cert-file", str(tls.certificate), "--key-file", str(tls.key)]
    with running(command) as process:
        deadline = time.monotonic() + PATIENCE
        while not (port_file.exists() and port_file.read_text().strip()):
            assert process.poll() is None, "proxy.py ended before it was ready"
            assert time.monotonic() < deadline, "proxy.py did not start in time"
            time.sleep(0.02)
        yield RealProxy(int(port_file.read_text()), password)


@contextlib.contextmanager
def tinyproxy(folder: Path, *, password: str = "") -> Iterator[RealProxy]:
    program = require("tinyproxy")
    configuration = folder / "tinyproxy.conf"

    def command(port: int) -> list[str]:
        lines = [f"Port {port}", "Listen 127.0.0.1", "LogLevel Critical", "Timeout 60"]
        if password:
            lines.append(f"BasicAuth {USER} {password}")
        configuration.write_text("\n".join(lines) + "\n")
        return [program, "-d", "-c", str(configuration)]

    with running_on_a_port(command) as port:
        yield RealProxy(port, password)


@contextlib.contextmanager
def tiny_proxy(version: int = 5, *, password: str = "") -> Iterator[RealProxy]:
    require_package("tiny_proxy")
    credentials = [USER, password] if password else []
    command = python(str(TINY_PROXY), str(version), *credentials)
    with running(command, stdout=subprocess.PIPE) as process:
        yield RealProxy(int(first_line(process)), password)


@contextlib.contextmanager
def microsocks(*, password: str = "") -> Iterator[RealProxy]:
    program = require("microsocks")
    credentials = ["-u", USER, "-P", password] if password else []

    def command(port: int) -> list[str]:
        return [program, "-i", "127.0.0.1", "-p", str(port), *credentials]

    with running_on_a_port(command) as port:
        yield RealProxy(port, password)
