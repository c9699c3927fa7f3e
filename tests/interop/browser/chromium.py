"""Chromium without a window, on a fresh profile."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ...support.require import require
from ..processes import running

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
]


@contextlib.contextmanager
def visiting(url: str, *, trusted: Path) -> Iterator[subprocess.Popen[str]]:
    """Run Chromium on a page; it accepts the certificate in the file ``trusted``."""
    with tempfile.TemporaryDirectory(
        prefix="ropeway-chromium-", ignore_cleanup_errors=True
    ) as profile:
        command = [require("chromium"), *FLAGS, f"--user-data-dir={profile}"]
        command.append(f"--ignore-certificate-errors-spki-list={key_hash(trusted)}")
        # Chromium's own complaints, about a missing bus for example, are no part of a test.
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with running([*command, url], **quiet) as process:
            yield process


def key_hash(certificate: Path) -> str:
    """Hash the public key of the first certificate in a file, as Chromium's flag wants it."""
    pem = certificate.read_text().partition("-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(pem[0] + pem[1])
    key = x509.load_der_x509_certificate(der).public_key()
    info = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(info).digest()).decode()
