"""How long a test may take before it counts as hung."""

from __future__ import annotations

from typing import Final

DEADLINE: Final = 120.0
"""Seconds. Tests take less than one; a virtual machine was seen to stand still for thirty."""
