"""The threaded client under test: ``sync_echo_client.py URL AGENT`` goes through all cases."""

from __future__ import annotations

import sys

from ropeway import WebSocketException
from ropeway.sync.client import connect


def play(url: str) -> None:
    """Send every message back until the server has seen enough."""
    try:
        with connect(url, max_size=None, proxy=None) as connection:
            for message in connection:
                connection.send(message)
    except (WebSocketException, OSError):
        pass  # the fuzzing server judges how it ended


def main(base: str, agent: str) -> None:
    with connect(f"{base}/getCaseCount", proxy=None) as connection:
        count = int(connection.recv())
    for case in range(1, count + 1):
        play(f"{base}/runCase?case={case}&agent={agent}")
    # Writing the reports takes the server longer than an opening handshake may last.
    with connect(
        f"{base}/updateReports?agent={agent}", proxy=None, open_timeout=None
    ) as connection:
        connection.wait_closed()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
