"""A private certificate authority, and what it issues to the ends of TLS connections."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ..support.require import require_package


@dataclass(frozen=True)
class Credentials:
    """Files for peers that want files, contexts for those that run in this process."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    @property
    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    def trusting(self, other: Credentials) -> Credentials:
        """The same certificate, among ends that trust another's authority."""
        return replace(self, authority=other.authority)


class Authority:
    """Issues certificates that only those trust who are told to."""

    def __init__(self, folder: Path) -> None:
        self._trustme = require_package("trustme")
        self._folder = folder
        self._ca = self._trustme.CA()
        self.file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, *names: str) -> Credentials:
        """Issue a certificate for host names and addresses."""
        issued = self._ca.issue_cert(*names)
        stem = names[0].replace(":", "_")
        certificate, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.unlink(missing_ok=True)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(certificate, append=True)
        issued.private_key_pem.write_to_path(key)
        return Credentials(self.file, certificate, key)

    @cached_property
    def loopback(self) -> Credentials:
        return self.issue("127.0.0.1", "localhost")
