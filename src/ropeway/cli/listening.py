"""The address of ``ropeway serve``: a socket, which outlives reloading, and its TLS."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import ssl
import stat

__all__ = ["address", "listen", "reason", "tls", "unlink"]


def listen(options: argparse.Namespace) -> socket.socket:
    """Bind what the options say, or take over what the reloading parent has bound.

    Raises:
        OSError: when the address can't be had.
    """
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    if options.unix:
        return _listen_unix(options.unix)
    family, _, _, _, place = socket.getaddrinfo(
        options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(place, family=family, backlog=1024)


def _listen_unix(path: str) -> socket.socket:
    try:
        left_over = stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        left_over = False
    if left_over:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
            else:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        sock.listen(1024)
    except OSError:
        sock.close()
        raise
    return sock


def reason(exc: OSError) -> str:
    """Say why there is no listening, as the system says it."""
    known = exc.errno in errno.errorcode and not isinstance(exc, socket.gaierror)
    return os.strerror(exc.errno) if known and exc.errno else exc.strerror or str(exc)


def unlink(options: argparse.Namespace, sock: socket.socket) -> None:
    """Close the socket; remove its file, unless a parent goes on listening."""
    sock.close()
    if options.unix and options.fd is None:
        try:
            os.unlink(options.unix)
        except FileNotFoundError:
            return


def address(options: argparse.Namespace, sock: socket.socket) -> str:
    """Write where clients connect to."""
    scheme = "wss" if options.tls else "ws"
    if options.unix:
        return f"{scheme}://localhost/ on the Unix socket {options.unix}"
    host, port = sock.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    """Load the certificate, if there is one.

    Raises:
        SystemExit: with code 2, when it can't be loaded; the reason is printed.
    """
    if not options.tls:
        if options.key:
            options.parser.error("--key needs --tls")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls, options.key)
    except (OSError, ssl.SSLError) as exc:
        # Neither of them says which file.
        files = " or ".join(repr(one) for one in (options.tls, options.key) if one)
        options.parser.error(f"can't load {files}: {exc.strerror or exc}")
    return context
