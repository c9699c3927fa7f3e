# Types for link.py.

import cython

from .._core.engine cimport Engine
from .._core.inbox cimport Inbox
from .._driving.deadlines cimport Deadline
from .._driving.terms cimport Terms
from .dispatch cimport Waiter
from .transport cimport StreamReceiver, StreamTransport
from .per_loop cimport PerLoop

cdef double TURN


cdef class LinkTerms(Terms):
    cdef readonly object write_limits
    cdef readonly object loop
    cdef readonly PerLoop shared


cdef class Link(StreamReceiver):
    cdef public Engine protocol
    cdef readonly object loop
    cdef public object _server
    cdef public object handler_task
    cdef readonly Inbox _inbox
    cdef readonly object _write_limits
    cdef Py_ssize_t _write_limit
    cdef public object request
    cdef public object response
    cdef public object _transport

    cdef readonly PerLoop _shared
    cdef object _buffer
    cdef object _woken
    cdef Deadline _deadline
    cdef readonly bint _is_lost
    cdef public list _lost
    cdef readonly bint _opening
    cdef public object _opened
    cdef object _connection_exc

    cdef public Waiter _receiver
    cdef public bint _receiving
    cdef public object _stream
    cdef bint _in_place
    cdef readonly bint _reading_paused
    cdef bint _delivering
    cdef bint _delivery_scheduled

    cdef StreamTransport _stream_transport
    cdef bint _corked
    cdef bint _joining
    cdef readonly bint _broadcasting
    cdef readonly bint _write_paused
    cdef readonly bint _choking
    cdef public object _fragmenting
    cdef public object _drain_waiters

    cdef _set_up(self, Engine protocol, LinkTerms terms)
    cdef _receive(self, data, Py_ssize_t size)
    cpdef _deliver(self)
    cpdef _deliver_soon(self)
    cdef _pause_reading(self, bint paused)
    cdef bint _is_receivable(self) except -1
    cpdef _before_waiting(self)
    cpdef _after_taking(self)
    cdef _deliver_opening(self)
    cpdef bint _is_opening_over(self)
    cdef _deliver_pongs(self)
    cdef _end_pings(self)
    cpdef _send_output(self)
    cpdef _begin(self)
    cpdef _start_keepalive(self)
    cpdef _flush_joined(self)

    @cython.locals(stream=StreamTransport)
    cpdef _flush(self)
    cdef _end_stream(self)

    @cython.locals(stream=StreamTransport, waiting="Py_ssize_t")
    cpdef Py_ssize_t _buffered(self) except -1
    cdef _wake_drain_waiters(self)
    cpdef _set_deadline(self)
    cpdef _note(self, exc)


cdef _wake(list waiters)


@cython.locals(link=Link)
cpdef make_link(kind, Engine protocol, LinkTerms terms)
