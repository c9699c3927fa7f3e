# What the compiled core calls at C speed; kernels_py.py is the twin with the same names.
#
# A masking key is an unsigned int whose lowest byte comes first on the wire; 0 leaves a payload as
# it is. `data` is bytes or bytearray, and [start, end) must lie inside it: callers check, the
# kernels do not.

from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint32_t


cdef extern from "utf8.h" nogil:
    ctypedef struct ropeway_survey:
        size_t characters
        uint8_t top


cpdef bytes payload_bytes(object data, Py_ssize_t start, Py_ssize_t end, uint32_t key)
cpdef str payload_text(object data, Py_ssize_t start, Py_ssize_t end, uint32_t key)
cpdef bytes utf8_rest(bytes pending, object piece)
cpdef bytes frame_header(int first, Py_ssize_t length, bint masked, uint32_t key)
cpdef bytes frame_bytes(int first, object payload, bint masked, uint32_t key)
cpdef uint32_t rotate_key(uint32_t key, Py_ssize_t consumed)
cpdef dict header_index(bytes head, Py_ssize_t start)


cdef class PayloadBuffer:
    cdef PyObject *payload  # bytes, or a str for ASCII; what lies behind `filled` is undefined
    cdef uint8_t *memory
    cdef readonly Py_ssize_t length
    cdef readonly Py_ssize_t filled
    cdef readonly Py_ssize_t capacity
    cdef Py_ssize_t offered
    cdef bint is_text
    cdef bint as_str
    cdef bint is_str
    cdef uint8_t seen
    cdef ropeway_survey survey  # of the first `surveyed` bytes
    cdef Py_ssize_t surveyed

    cpdef put(self, object data, Py_ssize_t start, Py_ssize_t end, uint32_t key)
    cpdef object room(self)
    cpdef advance(self, Py_ssize_t size, uint32_t key)
    cpdef bytes utf8_rest(self, bytes pending, Py_ssize_t size)
    cpdef object take(self)
    cdef _reserve(self, Py_ssize_t capacity)
    cdef _become_bytes(self)
