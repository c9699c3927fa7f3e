# server.py is compiled; its class stays one of Python, with the engine's C below it.

from ._core.engine cimport Engine


cpdef _check_key(key)
