# Types for broadcasting.py.

import cython

from .._core.engine cimport Engine
from .._core.shared cimport SharedMessage
from .._core.writer cimport Writer
from .link cimport Link
from .transport cimport StreamTransport

cdef double SLICE


@cython.locals(connection=Link, protocol=Engine, waiting="list", broadcasts="Broadcasts")
cdef _send(connections, SharedMessage message, slowness, failures)


@cython.locals(data="bytes", stream=StreamTransport)
cdef _write(Link connection)


cdef class Broadcasts:
    cdef object __weakref__
    cdef object _waiting
    cdef bint _scheduled
    cdef readonly bint writing
    cdef double _slice_ends

    cdef look_at_clock(self)
    cdef add(self, list waiting)

    @cython.locals(connections="list", connection=Link)
    cdef _schedule(self)

    @cython.locals(slice_ends="double", connections="list", connection=Link)
    cpdef _write_some(self)


@cython.locals(broadcasts=Broadcasts)
cdef Broadcasts _broadcasts(shared)
