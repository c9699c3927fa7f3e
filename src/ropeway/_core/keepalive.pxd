# Types for keepalive.py.


cdef class Keepalive:
    cdef public object interval
    cdef public object timeout
    cdef public object latency
    cdef public object pings
    cdef public object awaited
    cdef public object next_ping
    cdef public object deadline
    cdef bint _graced
    cdef double _late_by

    cpdef start(self, double now)
    cpdef stop(self)
    cpdef next_deadline(self)
    cdef _ping(self, double now)
    cdef _check(self, double now, double last_received, bint deaf)
    cdef _answered(self, double sent_at, double now)
