# Types for closing.py: everything is read by drivers or by the public view.


cdef class Closing:
    cdef public object rcvd
    cdef public object sent
    cdef public object rcvd_then_sent
    cdef public bint eof_sent
    cdef public bint eof_received
    cdef public object timeout
    cdef public object deadline

    cpdef note_sent(self, close)
    cpdef note_rcvd(self, close)
    cpdef start_clock(self, double now)
    cpdef bint is_clean(self)
    cpdef exception(self, cause)
