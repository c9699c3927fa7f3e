# Types for head.py.

import cython


cdef class HeadReader:
    cdef object _scanner
    cdef object _buffer

    cpdef feed(self, bytes data)


cpdef bint is_head(bytes data)
cpdef bint is_visible(str path)


@cython.locals(end="Py_ssize_t", path="str", index="dict")
cpdef read_request(bytes head)
