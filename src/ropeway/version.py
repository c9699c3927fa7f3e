"""The version of ropeway: the one place where it is written down."""

from __future__ import annotations

__all__ = ["commit", "released", "tag", "version"]

released = True

tag = version = commit = "0.1.0"
