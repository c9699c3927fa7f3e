# Types for polling.py.

import cython


cdef class Polled:
    cdef object _context

    cdef _read_ready(self)


@cython.final
cdef class Poller:
    cdef object _epoll
    cdef dict _watching
    cdef bint _begun

    cpdef watch(self, loop, int fd, Polled polled)
    cpdef unwatch(self, int fd, Polled polled)

    @cython.locals(polled=Polled, only=Polled)
    cpdef _poll(self)


cpdef _read(Polled polled)
