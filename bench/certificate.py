"""A certificate for TLS servers on 127.0.0.1, made once for each build directory."""

from __future__ import annotations

import functools
from pathlib import Path

from .tools import BUILD


@functools.cache
def certificate_file() -> Path:
    """Return a file that holds a key, its certificate, and that of the authority."""
    import trustme

    path = BUILD / "localhost.pem"
    BUILD.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
        str(path)
    )
    authority.cert_pem.write_to_path(str(path), append=True)
    return path
