"""A private certificate authority and the contexts of the peers that trust it, or do not."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

__all__ = ["TLS", "make_tls"]


@dataclass(frozen=True)
class TLS:
    """Contexts for a server and its clients; ``hostname`` is the name in the certificate."""

    hostname: str
    ca_file: Path
    server_context: ssl.SSLContext
    """Answers as ``hostname`` and 127.0.0.1."""
    other_name_context: ssl.SSLContext
    """Trusted as well, but its certificate is for another host."""
    mutual_server_context: ssl.SSLContext
    """Demands a certificate from the client."""
    client_context: ssl.SSLContext
    """Trusts the private CA."""
    identified_client_context: ssl.SSLContext
    """Trusts it and presents a certificate of its own."""
    untrusted_client_context: ssl.SSLContext
    """Trusts the machine's CAs only, so it refuses the server."""


def make_tls(directory: Path) -> TLS:
    """Make a fresh authority whose certificate is written under ``directory``."""
    authority = trustme.CA()
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)

    def server(*names: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(*names).configure_cert(context)
        return context

    mutual = server("localhost", "127.0.0.1")
    authority.configure_trust(mutual)
    mutual.verify_mode = ssl.CERT_REQUIRED

    identified = ssl.create_default_context(cafile=ca_file)
    authority.issue_cert("client@example.org").configure_cert(identified)

    return TLS(
        hostname="localhost",
        ca_file=ca_file,
        server_context=server("localhost", "127.0.0.1"),
        other_name_context=server("elsewhere.example"),
        mutual_server_context=mutual,
        client_context=ssl.create_default_context(cafile=ca_file),
        identified_client_context=identified,
        untrusted_client_context=ssl.create_default_context(),
    )
