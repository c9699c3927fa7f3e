# Types for deadlines.py.


cdef class Deadline:
    cdef readonly double when
    cdef public object owner


cdef class Deadlines:
    cdef list _queue
    cdef Py_ssize_t _cancelled
    cdef object _tie

    cpdef Deadline add(self, double when, owner)
    cpdef cancel(self, Deadline deadline)
    cpdef earliest(self)
    cpdef take_due(self, double now)
