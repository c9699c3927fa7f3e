# Types for transport.py.

import cython

from .._driving.sockets cimport receive, send, send_several
from .polling cimport Polled, Poller

cdef Py_ssize_t NOT_NOW
cdef double TURN
cdef Py_ssize_t MOST_PLACES


cdef class StreamReceiver:
    cdef _room(self)
    cdef _arrived(self, Py_ssize_t size)


cdef class StreamTransport(Polled):
    cdef object __weakref__
    cdef object _loop
    cdef Poller _poller
    cdef object _sock
    cdef int _fd
    cdef object _peername
    cdef object _sockname
    cdef object _protocol
    cdef StreamReceiver _direct
    cdef bint _buffered_protocol
    cdef object _backlog
    cdef Py_ssize_t _size
    cdef Py_ssize_t _high
    cdef Py_ssize_t _low
    cdef bint _protocol_paused
    cdef bint _reading
    cdef bint _paused
    cdef bint _ending
    cdef readonly bint _closing

    cdef _watch(self)

    @cython.locals(direct=StreamReceiver, size="Py_ssize_t")
    cdef bint _read_once(self) except -1
    cdef _unwatch(self)
    cdef _read_end(self)
    cdef bint _is_writable(self) except -1

    @cython.locals(sent="Py_ssize_t")
    cpdef write(self, data)

    @cython.locals(
        pieces="list",
        first="Py_ssize_t",
        last="Py_ssize_t",
        sent="Py_ssize_t",
        size="Py_ssize_t",
    )
    cpdef writelines(self, list_of_data)
    cdef _keep(self, data)
    cdef _check_high_water(self)
    cdef _tell(self, method)
    cdef _shut_down(self)
    cdef _drop_all(self, exc)
    cdef _report(self, exc, message)
    cdef _lose(self, exc)


@cython.locals(size="Py_ssize_t")
cdef _drop(waiting, Py_ssize_t sent)
