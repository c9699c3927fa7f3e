# Types for logs.py.

cdef class Logged:
    cdef public bint debug
    cdef object _logger
    cdef object _named

    cdef _log_to(self, logger)
    cpdef log_for(self, named)
    cpdef inform(self, fact)
