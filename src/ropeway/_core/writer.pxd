# Types for writer.py, and the kernels under the names that it imports.

import cython

from .._wire.kernels cimport frame_bytes, frame_header, utf8_rest
from ..extensions._contexts cimport Apart, Deflater
from .shared cimport SharedFrame, SharedMessage

# Numbers of C: the hot path compares with them for every frame.
cdef int CONT
cdef int TEXT
cdef int FIN
cdef int RSV1
cdef int FIRST_CONTROL_OPCODE
cdef int LARGEST_CONTROL_PAYLOAD
cdef int SEPARATE_PAYLOAD
cdef int MOST_SHARED


cdef class Writer:
    cdef readonly bint masked
    cdef readonly bint in_message
    cdef readonly tuple shared
    cdef list output
    cdef readonly Py_ssize_t size
    cdef Deflater deflater
    cdef readonly object deflate
    cdef readonly list extensions
    cdef bint compressing
    cdef bint is_text
    cdef bytes text_pending

    cdef public unsigned long long frames_sent
    cdef public unsigned long long messages_sent
    cdef readonly unsigned long long bytes_sent
    cdef readonly unsigned long long payload_bytes_sent
    cdef readonly unsigned long long inflated_bytes
    cdef readonly unsigned long long deflated_bytes

    cpdef use_extensions(self, list extensions)
    cpdef write_control(self, int opcode, payload)
    cpdef write_data(self, int opcode, payload, bint fin, compress)

    @cython.locals(frame=SharedFrame)
    cpdef write_shared(self, SharedMessage message)

    @cython.locals(queue="tuple", frame=SharedFrame)
    cpdef write_queued(self)

    @cython.locals(form="tuple", data="bytes", apart=Apart)
    cdef bytes _form_of(self, SharedFrame frame)

    cpdef write_raw(self, bytes data)

    @cython.locals(frame=SharedFrame, data="bytes")
    cpdef bytes take_shared(self)
    cpdef list take_output(self)

    cdef _check_text(self, payload, bint fin)

    @cython.locals(first="bint", first_byte="int")
    cdef _write_deflated(self, int opcode, payload, bint fin, compress)

    cdef _choose_compression(self, int opcode, compress)
    cdef _write_extended(self, int opcode, data, bint fin)

    @cython.locals(frame="bytes", header="bytes", size="Py_ssize_t")
    cdef _append(self, int first, payload)


cpdef contiguous(payload)


@cython.locals(key="Py_ssize_t")
cpdef Py_ssize_t header_size(Py_ssize_t frame_size, bint masked)
