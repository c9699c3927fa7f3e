"""The version of the distribution; the build reads it from here."""

from __future__ import annotations

__all__ = ["commit", "tag", "version"]

tag = version = commit = "0.1.0"
