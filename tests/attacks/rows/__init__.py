"""The attacks, by what they are about; importing this registers them."""

from . import ending, fan_out, frames, opening, sharing, timing

__all__ = ["ending", "fan_out", "frames", "opening", "sharing", "timing"]
