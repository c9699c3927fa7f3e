# Types for inbox.py.

import cython

# Numbers of C: the hot path compares with them for every frame.
cdef int NO_LIMIT
cdef int MANY_TAKEN
cdef long long LARGEST


cdef class Fragments:
    cdef readonly bint is_text
    cdef readonly object chunks
    cdef public long long frames
    cdef public bint complete

    cpdef add(self, payload)
    cpdef bytes join(self)


cdef class Inbox:
    cdef public long long high
    cdef readonly long long low
    cdef readonly list items
    cdef Py_ssize_t _taken
    cdef public long long level
    cdef public long long most
    cdef readonly long long held
    cdef public bint wanted
    cdef public bint closed

    @cython.locals(fragments="Fragments")
    cpdef put(self, int opcode, bint fin, payload)
    cpdef bint is_ready(self)
    cpdef first(self)

    @cython.locals(items="list")
    cpdef drop(self)

    cpdef bint is_full(self)
    cpdef bint has_room(self)
    cpdef take(self, decode)
