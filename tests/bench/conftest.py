"""The suite reads Linux's accounts of processes; elsewhere it cannot even be imported."""

from __future__ import annotations

import sys

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]
