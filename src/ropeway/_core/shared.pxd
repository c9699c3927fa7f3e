# Types for shared.py, and the kernels under the names that it imports.

from .._wire.kernels cimport frame_bytes, utf8_rest


cdef class SharedMessage:
    cdef readonly int opcode
    cdef readonly object payload
    cdef readonly bytes plain
    cdef readonly Py_ssize_t payload_size
    cdef dict _forms
    cdef object _last_kind
    cdef object _last_form

    cpdef compressed(self, deflate)
    cdef _compress(self, deflate)
