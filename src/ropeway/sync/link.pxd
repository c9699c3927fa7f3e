# Types for link.py.

import cython

from .._core.engine cimport Engine
from .._core.inbox cimport Inbox
from .._driving.sockets cimport receive_soon
from .wire cimport Wire

cdef int OP_BINARY
cdef int OP_CONT
cdef int OP_TEXT
cdef int MESSAGE
cdef int FRAGMENT
cdef int OPENING
cdef int PONG
cdef int LOSS
cdef double NEVER
cdef Py_ssize_t WANTS_MORE
cdef double SOON
cdef int MOST_SLEEPS


cdef class Link(Wire):
    @cython.locals(inbox=Inbox)
    cpdef _recv(self, timeout, decode)

    @cython.locals(inbox=Inbox, ends="double")
    cdef _wait_for_message(self, timeout)

    cdef _after_taking(self)
    cdef _fail_decoding(self, exc)

    @cython.locals(protocol=Engine)
    cpdef bint _wait(self, int goal, what, double ends) except -1

    cdef bint _is_reached(self, int goal, what) except -1
    cdef bint _follow(self, double ends) except -1

    @cython.locals(size="Py_ssize_t")
    cdef bint _lead(self, double ends) except -1

    @cython.locals(fd="int", size="Py_ssize_t")
    cdef Py_ssize_t _read_soon(self, view, double ends) except -2

    @cython.locals(opcode="int")
    cpdef bint _send(self, message, text, compress) except -1

    @cython.locals(protocol=Engine)
    cdef _send_frame(self, int opcode, payload, bint fin, compress)

    @cython.locals(ends="double")
    cpdef _drain(self, bint whole=*)

    cdef _wait_writable(self, double ends)
    cpdef _raise_closed(self)
