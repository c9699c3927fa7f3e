# Types for per_loop.py.

from .._driving.deadlines cimport Deadline, Deadlines
from .polling cimport Poller


cdef class PerLoop:
    cdef object __weakref__
    cdef readonly bint has_streams
    cdef readonly object buffer
    cdef readonly Poller poller
    cdef public object broadcasts
    cdef readonly object woken
    cdef object _tls_buffer
    cdef Deadlines _deadlines
    cdef object _timer
    cdef double _timer_due

    cpdef share_with_tls(self, transport)
    cpdef Deadline schedule(self, double when, owner)
    cpdef cancel(self, Deadline deadline)
    cdef _set_timer(self)
