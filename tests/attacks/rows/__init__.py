"""The attacks, by what they are about; importing them registers them."""

from ..harness import ATTACKS
from . import ending, fan_out, frames, opening, sharing, timing

__all__ = ["ATTACKS", "ending", "fan_out", "frames", "opening", "sharing", "timing"]
