# Types for exchange.py.

import cython

from .._core.engine cimport Engine
from .._core.inbox cimport Inbox
from ..asyncio.dispatch cimport Waiter, make_waiter
from ..asyncio.link cimport Link, LinkTerms
from ..asyncio.operations cimport Operation

# Numbers of C, compared with at every step.
cdef int OP_BINARY
cdef int OP_TEXT
cdef int NEW
cdef int WAITING
cdef int DONE


cdef class Exchange(Link):
    cdef bint _told
    cdef public bint accepted

    @cython.locals(protocol=Engine)
    cpdef bint _is_over(self) except -1
    cdef bint _is_receivable(self) except -1


cdef class ReceiveEvent(Operation):
    @cython.locals(connection=Exchange, inbox=Inbox, waiter=Waiter)
    cdef _step(self)

    @cython.locals(connection=Exchange)
    cdef _give_up(self)


cdef class SendEvent(Operation):
    cdef object _event

    @cython.locals(connection=Exchange, protocol=Engine, event="dict", opcode="int")
    cdef _step(self)


@cython.locals(operation=ReceiveEvent)
cpdef ReceiveEvent make_receive_event(Exchange connection)


@cython.locals(operation=SendEvent)
cpdef SendEvent make_send_event(Exchange connection, event)
