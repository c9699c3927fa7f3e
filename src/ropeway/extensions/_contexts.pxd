# Types for _contexts.py.

import cython

# cimported under one name from two modules, as in reader.pxd
from .._wire.kernels cimport PayloadBuffer as PayloadBufferType


cdef class Inflater:
    cdef object backend
    cdef object using
    cdef int bits
    cdef bint no_takeover
    cdef object context
    cdef long long inflated
    cdef int final_blocks
    cdef bint in_message
    cdef bint at_start
    cdef bint used
    cdef bytes window
    cdef bint packed

    cpdef start(self)

    @cython.locals(data="bytes", output="bytes")
    cpdef bytes inflate(self, piece, long long room, bint last)

    cdef _prepare(self, bint large)

    @cython.locals(
        output="bytes", step="long long", space="long long", inflated="PayloadBufferType"
    )
    cdef bytes _inflate_in_steps(self, bytes data, long long room)

    @cython.locals(output="bytes")
    cdef bytes _decompress(self, bytes data, long long space, long long room)

    @cython.locals(output="bytes")
    cdef bytes _step(self, bytes data, long long most)

    @cython.locals(data="bytes", space="long long", start="Py_ssize_t", stop="Py_ssize_t")
    cdef bytes _inflate_rest(self, bytes output, long long room)

    cdef _restart(self)
    cdef _make(self)
    cdef _drop(self)

    @cython.locals(size="long long")
    cdef _keep_window(self)

    cpdef bint rest(self) except -1


cdef class Window:
    cdef readonly bytes content


cdef class Apart:
    cdef readonly bytes deflated
    cdef readonly Window window


cdef class Deflater:
    cdef object _kind
    cdef readonly Window window
    cdef object context
    cdef bint used
    cdef bint seated
    cdef bint no_takeover
    cdef int bits
    cdef object backend
    cdef object settings
    cdef readonly object threshold
    cdef long long large
    cdef long long medium

    cpdef bint is_worthwhile(self, payload) except -1

    @cython.locals(deflated="bytes")
    cpdef bytes deflate(self, payload, bint first, bint last)

    cdef _make(self)

    @cython.locals(deflated="bytes", content="bytes", recent="bytes", size="Py_ssize_t")
    cpdef Apart apart(self, payload)

    cpdef object kind(self)
    cpdef sent(self, Apart apart)
    cdef bytes _content(self)
    cpdef bint rest(self) except -1
    cdef _drop(self)
