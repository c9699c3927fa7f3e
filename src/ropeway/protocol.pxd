# protocol.py is compiled; its classes stay classes of Python, with the engine's C below them.

from ._core.engine cimport Engine
