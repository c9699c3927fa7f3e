# Types for broadcasting.py.

import cython

from .._core.engine cimport Engine
from .._core.shared cimport SharedMessage
from .link cimport Link

cdef int OP_BINARY
cdef int OP_TEXT
cdef double TURN


@cython.locals(connection=Link, protocol=Engine, holding="list", turn_ends="double")
cdef list _send(connections, SharedMessage shared, raised)


cpdef _write_some(list holding)


@cython.locals(connection=Link)
cdef _write_until(double turn_ends, list holding)
