# Types for reader.py, and the kernels under the names that it imports. A class can't be imported
# and cimported under one name from two modules, so PayloadBuffer has another name as a type.

import cython

from libc.stdint cimport uint32_t

from .._wire.kernels cimport (
    PayloadBuffer as PayloadBufferType,
    payload_bytes,
    payload_text,
    rotate_key,
    utf8_rest,
)
from ..extensions._contexts cimport Inflater

# Numbers of C: the hot path compares with them for every frame.
cdef int CONT
cdef int TEXT
cdef int BINARY
cdef int FIRST_CONTROL_OPCODE
cdef int LAST_OPCODE
cdef int FIN
cdef int RSV1
cdef int RSV
cdef long long LARGEST_LENGTH


cdef class Reader:
    cdef readonly bint masked
    cdef readonly long long max_message_size
    cdef readonly long long max_fragment_size
    cdef long long first_limit
    cdef long long most_fragments
    cdef readonly bint text_as_str
    cdef readonly object deflate
    cdef Inflater inflater
    cdef readonly list extensions
    cdef int allowed_rsv

    cdef object buffer
    cdef bint borrowed
    cdef readonly Py_ssize_t pos
    cdef readonly Py_ssize_t end

    cdef bint in_payload
    cdef readonly int opcode
    cdef readonly bint fin
    cdef int rsv
    cdef long long length
    cdef long long remaining
    cdef uint32_t key
    cdef long long frame_size
    cdef list pieces
    cdef PayloadBufferType large
    cdef Py_ssize_t unchecked
    cdef readonly object payload

    cdef bint in_message
    cdef bint is_text
    cdef bint compressed
    cdef long long message_size
    cdef long long fragments
    cdef int empty_fragments
    cdef bytes text_pending
    cdef long long text_checked
    cdef readonly long long bad_text_at

    cdef readonly unsigned long long frames_received
    cdef readonly unsigned long long messages_received
    cdef readonly unsigned long long bytes_received
    cdef readonly unsigned long long payload_bytes_received
    cdef readonly unsigned long long inflated_bytes
    cdef readonly unsigned long long deflated_bytes

    cpdef use_extensions(self, list extensions)
    cpdef feed(self, data, Py_ssize_t start, Py_ssize_t end)
    cpdef keep_rest(self)
    cpdef unsigned long long position(self)
    cpdef bint has_unread(self)
    cpdef long long want(self)
    cpdef object room(self)
    cpdef filled(self, Py_ssize_t nbytes)
    cpdef discard(self)

    @cython.locals(available="Py_ssize_t")
    cpdef bint next_frame(self) except -1

    @cython.locals(
        data="const unsigned char *",
        pos="Py_ssize_t",
        available="Py_ssize_t",
        first="int",
        second="int",
        length="long long",
        size="Py_ssize_t",
        key="uint32_t",
        i="int",
    )
    cdef bint _read_header(self) except -1

    @cython.locals(opcode="int", rsv="int")
    cdef _check_first_byte(self, int first)

    @cython.locals(message_size="long long", limit="long long", compressed="bint")
    cdef _check_size(self, int first, long long length)

    cdef _count_fragment(self)

    @cython.locals(limit="long long")
    cdef long long _limit(self, long long message_size) except? -2

    @cython.locals(start="Py_ssize_t", size="Py_ssize_t")
    cdef _read_payload(self)

    cdef _read_piece(self, Py_ssize_t size)
    cdef bint _is_large(self, long long rest)
    cdef _start_large(self)
    cdef _count_large(self, Py_ssize_t size)

    @cython.locals(size="Py_ssize_t")
    cdef _check_large(self)

    @cython.locals(message_size="long long", limit="long long", room="long long")
    cdef _inflate(self, bytes piece, bint last)

    cdef _add(self, bytes piece)
    cdef _keep(self, bytes piece)
    cdef _check_text(self, bytes piece)
    cdef _finish_fragment(self, bytes payload)
    cdef _check_end_of_text(self)

    @cython.locals(message_size="long long", limit="long long")
    cdef _read_extended(self, Py_ssize_t size)
