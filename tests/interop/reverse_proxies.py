"""Servers that stand in front of others: nginx, HAProxy, nghttpx.

Each hands ``/hidden`` to one server and everything else to another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ..support.require import require
from .processes import running_on_a_port

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
        location / {{ proxy_pass http://127.0.0.1:{backend}; }}
        location /hidden {{ proxy_pass http://127.0.0.1:{elsewhere}; }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 10s
    timeout client 10s
    timeout server 10s
frontend all
    bind 127.0.0.1:{port}
    use_backend elsewhere if {{ path_beg /hidden }}
    default_backend backend
backend backend
    http-reuse always
    server one 127.0.0.1:{backend}
backend elsewhere
    server two 127.0.0.1:{elsewhere}
"""

NGHTTPX = """
frontend=127.0.0.1,{port};no-tls
backend=127.0.0.1,{backend};/
backend=127.0.0.1,{elsewhere};/hidden
errorlog-file={folder}/errors
accesslog-file={folder}/access
workers=1
"""


def _nginx(program: str, file: Path) -> list[str]:
    return [program, "-e", str(file.with_name("errors")), "-c", str(file)]


def _haproxy(program: str, file: Path) -> list[str]:
    return [program, "-q", "-db", "-f", str(file)]


def _nghttpx(program: str, file: Path) -> list[str]:
    return [program, f"--conf={file}"]


REVERSE_PROXIES: dict[str, tuple[str, Callable[[str, Path], list[str]]]] = {
    "nginx": (NGINX, _nginx),
    "haproxy": (HAPROXY, _haproxy),
    "nghttpx": (NGHTTPX, _nghttpx),
}


@contextlib.contextmanager
def reverse_proxy(name: str, folder: Path, *, backend: int, elsewhere: int) -> Iterator[int]:
    """Run one in front of two ports; give its own."""
    program = require(name)
    template, make = REVERSE_PROXIES[name]
    file = folder / f"{name}.conf"

    def command(port: int) -> list[str]:
        file.write_text(
            template.format(folder=folder, port=port, backend=backend, elsewhere=elsewhere)
        )
        return make(program, file)

    with running_on_a_port(command) as port:
        yield port
