"""The attacks, by what they are about; importing this registers them."""

from . import ending, frames, opening, sharing, timing

__all__ = ["ending", "frames", "opening", "sharing", "timing"]
