# Types for wire.py.

import cython

from .._core.engine cimport Engine
from .._core.inbox cimport Inbox
from .._core.writer cimport Writer

cdef Py_ssize_t FIRST_BUFFER
cdef int MOST_PLACES
cdef Py_ssize_t WANTS_MORE


cdef class Wire:
    cdef object __weakref__

    cdef public Engine protocol
    cdef readonly Inbox _inbox
    cdef public object request
    cdef public object response
    cdef readonly object _keeper
    cdef object _deadline
    cdef object _connection_exc
    cdef readonly bint _is_lost
    cdef bint _aborted
    cdef readonly bint _opening
    cdef public bint _unused

    cdef readonly object _lock
    cdef object _changed
    cdef readonly int _followers

    cdef readonly object _sock
    cdef readonly object _tls
    cdef object _addresses
    cdef bytearray _buffer
    cdef object _view
    cdef bint _in_place
    cdef readonly bint _leading
    cdef readonly unsigned long long _reads
    cdef unsigned long long _reads_seen
    cdef readonly int _sleeps
    cdef readonly int _doubt
    cdef readonly bint _receiving
    cdef object _stream

    cdef object _backlog
    cdef readonly unsigned long long _queued
    cdef readonly unsigned long long _written
    cdef unsigned long long _encrypted
    cdef bint _ending
    cdef readonly int _writers
    cdef readonly bint _fragmenting

    cpdef _begin(self)
    cdef _place(self)

    @cython.locals(protocol=Engine)
    cdef _take(self, Py_ssize_t size, failure)

    cdef _receive(self, Py_ssize_t size)

    @cython.locals(size="Py_ssize_t")
    cdef bint _take_decrypted(self) except -1

    @cython.locals(protocol=Engine)
    cpdef _deliver(self)

    @cython.locals(protocol=Engine)
    cdef _deliver_opening(self)

    @cython.locals(size="Py_ssize_t")
    cdef bint _read_now(self) except -1

    cdef _read_all_now(self)
    cdef _deliver_pongs(self)
    cdef _end_pings(self)

    @cython.locals(writer=Writer, output="list", data="bytes", sent="Py_ssize_t")
    cpdef _flush(self)

    cdef _write_all(self, list output)

    cdef _encrypt(self)

    @cython.locals(sent="Py_ssize_t")
    cdef _write_backlog(self)

    cdef _fail_writing(self, exc)
    cpdef _set_deadline(self)
    cdef _abort(self, exc)
    cdef _shut_down(self, how)
    cdef _lose(self, exc)
    cdef _deliver_end(self)
    cpdef _ask_addresses(self)
    cdef _tell_followers(self)
    cpdef _note(self, exc)
