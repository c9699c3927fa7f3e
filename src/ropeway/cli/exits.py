"""The exit codes of all commands."""

from __future__ import annotations

__all__ = [
    "BROKEN_PIPE",
    "CLOSED_BADLY",
    "CODES",
    "INTERRUPTED",
    "REFUSED",
    "TERMINATED",
    "UNREACHABLE",
    "USAGE",
]

CLOSED_BADLY, USAGE, UNREACHABLE, REFUSED = 1, 2, 3, 4
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143

CODES = """\
exit codes:
  0    closed normally (1000, 1001, or without a code)
  1    closed with another code, or the connection was lost
  2    mistake in the options or in the input
  3    the server could not be reached: network, name, TLS, proxy, time
  4    the server was reached and refused the handshake
  130  interrupted by Ctrl-C; 143 by SIGTERM; 141 nobody reads the output any more
"""
