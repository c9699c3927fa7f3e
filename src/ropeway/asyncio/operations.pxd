# Types for operations.py.

import cython

from .._core.engine cimport Engine
from .._core.inbox cimport Inbox
from .dispatch cimport Waiter, make_waiter
from .link cimport Link
from .results cimport set_result

# Numbers of C, compared with at every step.
cdef int OP_BINARY
cdef int OP_TEXT
cdef int NEW
cdef int WAITING
cdef int DELEGATED
cdef int DONE


cdef class Operation:
    cdef Link _connection
    cdef object _inner
    cdef int _stage
    cdef object _waited

    cdef _delegate(self, inner)
    cdef _resume(self)
    cdef _check_waited(self, waited)
    cdef _step(self)
    cdef _give_up(self)
    cdef _name(self)


cdef class Receive(Operation):
    cdef object _decode
    cdef bint _iterating

    @cython.locals(connection=Link, inbox=Inbox, waiter=Waiter)
    cdef _step(self)


cdef class Send(Operation):
    cdef object _message
    cdef object _text
    cdef object _compress

    @cython.locals(connection=Link, protocol=Engine, opcode="int")
    cdef _step(self)


cdef class Messages:
    cdef Link _connection


@cython.locals(operation=Receive)
cpdef Receive make_receive(Link connection, decode, bint iterating)


@cython.locals(operation=Send)
cpdef Send make_send(Link connection, message, text, compress)
