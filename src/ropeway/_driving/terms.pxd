# Types for terms.py.

from .._core.engine cimport Engine
from .._core.inbox cimport Inbox


cdef class Terms:
    cdef readonly object ping_interval
    cdef readonly object ping_timeout
    cdef readonly object close_timeout
    cdef readonly object high
    cdef readonly object low

    cpdef Inbox apply(self, connection, Engine protocol)
