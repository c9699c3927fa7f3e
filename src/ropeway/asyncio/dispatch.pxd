# Types for dispatch.py.

import cython

cdef int PENDING
cdef int WOKEN
cdef int CANCELLED


@cython.final
@cython.freelist(64)
cdef class Waiter:
    cdef public bint _asyncio_future_blocking
    cdef object _loop
    cdef int _state
    cdef object _callback
    cdef object _context
    cdef object _cancel_message

    cpdef wake(self)
    cdef _wake_later(self)
