# Types for shared.py, and the kernels under the names that it imports.

import cython

from .._wire.kernels cimport frame_bytes, utf8_rest
from ..extensions._contexts cimport Deflater


cdef class SharedFrame:
    cdef readonly int opcode
    cdef readonly object payload
    cdef readonly bytes plain
    cdef readonly Py_ssize_t payload_size
    cdef set _kinds
    cdef dict _forms
    cdef object _last_kind
    cdef object _last_window
    cdef tuple _last_form

    cpdef prepare(self, Deflater deflater)
    cpdef tuple compressed(self, Deflater deflater)
    cdef tuple _compress(self, Deflater deflater)


cdef class SharedMessage:
    cdef readonly SharedFrame frame
    cdef tuple _queue
    cdef tuple _longer

    cpdef tuple behind(self, tuple queue)
