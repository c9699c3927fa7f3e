# What the compiled core calls at C speed; kernels_py.py is the twin with the same names.
#
# A masking key is an unsigned int whose lowest byte comes first on the wire; 0 leaves a payload as
# it is. `data` is bytes or bytearray, and [start, end) must lie inside it: callers check, the
# kernels do not.

from libc.stdint cimport uint32_t

cpdef bytes payload_bytes(object data, Py_ssize_t start, Py_ssize_t end, uint32_t key)
cpdef str payload_text(object data, Py_ssize_t start, Py_ssize_t end, uint32_t key)
cpdef bytes utf8_rest(bytes pending, object piece)
cpdef bytes frame_bytes(int first, object payload, bint masked, uint32_t key)
cpdef uint32_t rotate_key(uint32_t key, Py_ssize_t consumed)
