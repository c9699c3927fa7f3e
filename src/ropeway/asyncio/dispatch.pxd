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

    cpdef bint done(self) noexcept
    cpdef wake(self, woken)
    cdef _wake_later(self)


@cython.locals(waiter=Waiter)
cpdef Waiter make_waiter(loop)
