# Types for broadcasting.py.

import cython

from .._core.engine cimport Engine
from .._core.shared cimport SharedMessage
from .link cimport Link

cdef int OP_BINARY
cdef int OP_TEXT
cdef double TURN


@cython.locals(connection=Link, protocol=Engine, holding="list")
cdef list _send(connections, SharedMessage shared, raised)


@cython.locals(connection=Link, turn_ends="double")
cpdef _write_some(list holding)
