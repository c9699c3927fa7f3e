# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled kernels; each function answers as its namesake in kernels_py does."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_CheckExact
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void *PyUnicode_DATA(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bytes PyUnicode_AsUTF8String(object text)


cdef extern from "kernels.h" nogil:
    uint8_t ropeway_mask_copy(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
    uint32_t ropeway_rotate_key(uint32_t key, size_t consumed)
    size_t ropeway_utf8_scan(const uint8_t *text, size_t n, int *truncated)
    size_t ropeway_write_header(
        uint8_t *dst, uint8_t first, uint64_t length, int masked, uint32_t key
    )
    size_t ropeway_header_size(uint64_t length, int masked)


cdef inline const uint8_t *_readable(object data) noexcept:
    if PyByteArray_CheckExact(data):
        return <const uint8_t *>PyByteArray_AS_STRING(data)
    return <const uint8_t *>PyBytes_AS_STRING(data)


cpdef bytes payload_bytes(object data, Py_ssize_t start, Py_ssize_t end, uint32_t key):
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, end - start)
    ropeway_mask_copy(
        <uint8_t *>PyBytes_AS_STRING(payload), _readable(data) + start, end - start, key
    )
    return payload


cpdef str payload_text(object data, Py_ssize_t start, Py_ssize_t end, uint32_t key):
    # Most text is ASCII: unmask straight into the str and look at the OR of its bytes afterwards.
    cdef str text = PyUnicode_New(end - start, 127)
    cdef uint8_t *characters = <uint8_t *>PyUnicode_DATA(text)
    cdef uint8_t seen = 0
    if end > start:  # the empty string is a shared object
        seen = ropeway_mask_copy(characters, _readable(data) + start, end - start, key)
    if seen < 0x80:
        return text
    # CPython's decoder finds the error and words it; an invalid "ASCII" str must never escape.
    return PyUnicode_DecodeUTF8(<char *>characters, end - start, NULL)


cpdef bytes utf8_rest(bytes pending, object piece):
    cdef bytes text = pending + piece if pending else bytes(piece)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    cdef int truncated = 0
    cdef size_t valid = ropeway_utf8_scan(
        <const uint8_t *>PyBytes_AS_STRING(text), size, &truncated
    )
    if valid == <size_t>size:
        return b""
    if not truncated:
        text.decode()  # raises, with CPython's own words
    return text[valid:]


cpdef bytes frame_bytes(int first, object payload, bint masked, uint32_t key):
    cdef Py_buffer view
    cdef const uint8_t *source
    cdef Py_ssize_t size
    cdef bint viewed = False
    cdef bytes frame
    cdef uint8_t *target
    if isinstance(payload, str):
        if PyUnicode_IS_COMPACT_ASCII(payload):
            source = <const uint8_t *>PyUnicode_DATA(payload)
            size = PyUnicode_GET_LENGTH(payload)
        else:
            payload = PyUnicode_AsUTF8String(payload)
            source = <const uint8_t *>PyBytes_AS_STRING(payload)
            size = PyBytes_GET_SIZE(payload)
    elif isinstance(payload, bytes):
        source = <const uint8_t *>PyBytes_AS_STRING(payload)
        size = PyBytes_GET_SIZE(payload)
    else:
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        source = <const uint8_t *>view.buf
        size = view.len
        viewed = True
    try:
        frame = PyBytes_FromStringAndSize(
            NULL, size + <Py_ssize_t>ropeway_header_size(size, masked)
        )
        target = <uint8_t *>PyBytes_AS_STRING(frame)
        target += ropeway_write_header(target, <uint8_t>first, size, masked, key)
        ropeway_mask_copy(target, source, size, key if masked else 0)
    finally:
        if viewed:
            PyBuffer_Release(&view)
    return frame


cpdef uint32_t rotate_key(uint32_t key, Py_ssize_t consumed):
    return ropeway_rotate_key(key, consumed)
