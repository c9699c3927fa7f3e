# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled kernels; each function answers as its namesake in kernels_py does."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_CheckExact
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_SIMPLE,
    PyBUF_STRIDES,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from cpython.unicode cimport PyUnicode_DecodeLatin1, PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t size) except -1
    int PyUnicode_Resize(PyObject **text, Py_ssize_t size) except -1
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void *PyUnicode_DATA(object text)
    int PyUnicode_KIND(object text)
    bint PyUnicode_IS_COMPACT(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bytes PyUnicode_AsUTF8String(object text)
    # An object would be counted once more while it is asked.
    Py_ssize_t references "Py_REFCNT"(PyObject *object)


cdef extern from "kernels.h" nogil:
    uint8_t ropeway_mask_copy(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
    uint8_t ropeway_seen(const uint8_t *src, size_t n)
    uint32_t ropeway_rotate_key(uint32_t key, size_t consumed)
    size_t ropeway_write_header(
        uint8_t *dst, uint8_t first, uint64_t length, int masked, uint32_t key
    )
    size_t ropeway_header_size(uint64_t length, int masked)
    uint8_t ropeway_token_lower(uint8_t byte)
    size_t ropeway_header_line(
        const uint8_t *line, size_t n, size_t *name_size, size_t *value_size
    )


cdef extern from "utf8.h" nogil:
    void ropeway_utf8_prepare()
    bint ropeway_utf8_is_fast()
    int ropeway_width(const ropeway_survey *survey)
    size_t ropeway_utf8_survey(
        const uint8_t *text, size_t n, int *truncated, ropeway_survey *survey
    )
    void ropeway_utf8_widen(void *str, int width, const uint8_t *text, size_t n)
    size_t ropeway_utf8_size(const void *str, int width, size_t n, int *surrogates)
    void ropeway_utf8_write(uint8_t *dst, const void *str, int width, size_t n)


ropeway_utf8_prepare()

# A shorter text is decoded before the faster way has begun.
cdef Py_ssize_t LONG_TEXT = 96


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
    # An invalid "ASCII" str must never escape.
    return _decoded(characters, end - start)


cdef str _decoded(const uint8_t *text, Py_ssize_t size):
    cdef ropeway_survey survey = ropeway_survey(0, 0)
    cdef int truncated = 0
    if size >= LONG_TEXT and ropeway_utf8_is_fast():
        if ropeway_utf8_survey(text, size, &truncated, &survey) == <size_t>size:
            return _widened(text, size, &survey)
    # CPython's decoder finds the error and words it.
    return PyUnicode_DecodeUTF8(<const char *>text, size, NULL)


cdef str _widened(const uint8_t *text, Py_ssize_t size, const ropeway_survey *survey):
    cdef int width = ropeway_width(survey)
    cdef Py_UCS4 largest = 0xFF if width == 1 else 0xFFFF if width == 2 else 0x10FFFF
    cdef str result = PyUnicode_New(survey.characters, largest)
    ropeway_utf8_widen(PyUnicode_DATA(result), width, text, size)
    return result


cpdef bytes utf8_rest(bytes pending, object piece):
    cdef bytes text = pending + piece if pending else bytes(piece)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    cdef ropeway_survey survey = ropeway_survey(0, 0)
    cdef int truncated = 0
    cdef size_t valid = ropeway_utf8_survey(
        <const uint8_t *>PyBytes_AS_STRING(text), size, &truncated, &survey
    )
    if valid == <size_t>size:
        return b""
    if not truncated:
        text.decode()  # raises, with CPython's own words
    return text[valid:]


cpdef bytes frame_header(int first, Py_ssize_t length, bint masked, uint32_t key):
    cdef bytes header = PyBytes_FromStringAndSize(
        NULL, <Py_ssize_t>ropeway_header_size(length, masked)
    )
    ropeway_write_header(
        <uint8_t *>PyBytes_AS_STRING(header), <uint8_t>first, length, masked, key
    )
    return header


cpdef bytes frame_bytes(int first, object payload, bint masked, uint32_t key):
    cdef Py_buffer view
    cdef bytes frame
    if isinstance(payload, str):
        if PyUnicode_IS_COMPACT_ASCII(payload):
            return _frame(
                first, <const uint8_t *>PyUnicode_DATA(payload), PyUnicode_GET_LENGTH(payload),
                masked, key,
            )
        if PyUnicode_IS_COMPACT(payload):
            return _frame_of_wide(first, payload, masked, key)
        payload = PyUnicode_AsUTF8String(payload)
    if isinstance(payload, bytes):
        return _frame(
            first, <const uint8_t *>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload),
            masked, key,
        )
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        frame = _frame(first, <const uint8_t *>view.buf, view.len, masked, key)
    finally:
        PyBuffer_Release(&view)
    return frame


cdef bytes _frame(int first, const uint8_t *source, Py_ssize_t size, bint masked, uint32_t key):
    cdef uint8_t *target
    cdef bytes frame = _begun(first, size, masked, key, &target)
    ropeway_mask_copy(target, source, size, key if masked else 0)
    return frame


cdef bytes _frame_of_wide(int first, object text, bint masked, uint32_t key):
    # Into the frame at once: a str encoded by CPython is copied twice more, or kept in the str.
    cdef Py_ssize_t characters = PyUnicode_GET_LENGTH(text)
    cdef int width = PyUnicode_KIND(text)
    cdef int surrogates = 0
    cdef uint8_t *target
    cdef Py_ssize_t size = ropeway_utf8_size(PyUnicode_DATA(text), width, characters, &surrogates)
    if surrogates:
        PyUnicode_AsUTF8String(text)  # raises
    cdef bytes frame = _begun(first, size, masked, key, &target)
    ropeway_utf8_write(target, PyUnicode_DATA(text), width, characters)
    if masked:
        ropeway_mask_copy(target, target, size, key)
    return frame


cdef bytes _begun(int first, Py_ssize_t size, bint masked, uint32_t key, uint8_t **payload):
    cdef bytes frame = PyBytes_FromStringAndSize(
        NULL, size + <Py_ssize_t>ropeway_header_size(size, masked)
    )
    payload[0] = <uint8_t *>PyBytes_AS_STRING(frame)
    payload[0] += ropeway_write_header(payload[0], <uint8_t>first, size, masked, key)
    return frame


cpdef uint32_t rotate_key(uint32_t key, Py_ssize_t consumed):
    return ropeway_rotate_key(key, consumed)


cpdef dict header_index(bytes head, Py_ssize_t start):
    cdef const uint8_t *line = <const uint8_t *>PyBytes_AS_STRING(head) + start
    cdef size_t left = PyBytes_GET_SIZE(head) - start
    cdef size_t name_size = 0, value_size = 0, size, i
    cdef uint8_t *lower
    cdef str name
    cdef Py_ssize_t lines = 0
    cdef dict index = {}
    while True:
        size = ropeway_header_line(line, left, &name_size, &value_size)
        if size == 0:
            return None
        name = PyUnicode_New(name_size, 127)
        lower = <uint8_t *>PyUnicode_DATA(name)
        for i in range(name_size):
            lower[i] = ropeway_token_lower(line[i])
        index[name] = PyUnicode_DecodeLatin1(<const char *>line + name_size + 2, value_size, NULL)
        lines += 1
        line += size
        left -= size
        if left == 2 and line[0] == b"\r" and line[1] == b"\n":
            return index if len(index) == lines else None


cdef const char *BYTES = "B"


cdef class PayloadBuffer:
    def __cinit__(self, Py_ssize_t length, bint is_text, bint as_str):
        self.length = length
        self.is_text = is_text
        # A str is filled while all is ASCII, which saves a copy in the end.
        self.as_str = self.is_str = is_text and as_str

    def __dealloc__(self):
        Py_XDECREF(self.payload)

    cpdef put(self, object data, Py_ssize_t start, Py_ssize_t end, uint32_t key):
        cdef Py_ssize_t size = end - start
        cdef uint8_t sample[256]
        if self.is_str and self.filled == 0:
            # Text that begins like this will hardly stay ASCII, and would be moved.
            self.is_str = ropeway_mask_copy(
                sample, _readable(data) + start, min(size, 256), key
            ) < 0x80
        if self.capacity - self.filled < size:
            self._reserve(4 * (self.filled + size))
        self.seen |= ropeway_mask_copy(
            self.memory + self.filled, _readable(data) + start, size, key
        )
        self.filled += size
        if self.is_str and self.seen >= 0x80:
            self._become_bytes()

    cpdef object room(self):
        # A read shouldn't be cut short by what is left of the memory, but by what has arrived.
        if self.capacity < self.length and self.capacity - self.filled < self.capacity // 4 + 1:
            self._reserve(max(4 * self.filled, 65536))
        self.offered = self.capacity - self.filled
        return PyMemoryView_FromObject(self)

    cpdef advance(self, Py_ssize_t size, uint32_t key):
        if size > self.offered:
            raise ValueError("more bytes than there was room for")
        self.offered = 0
        cdef uint8_t *start = self.memory + self.filled
        if key:
            self.seen |= ropeway_mask_copy(start, start, size, key)
        elif self.is_text:
            self.seen |= ropeway_seen(start, size)
        self.filled += size
        if self.is_str and self.seen >= 0x80:
            self._become_bytes()

    cpdef bytes utf8_rest(self, bytes pending, Py_ssize_t size):
        cdef Py_ssize_t before = PyBytes_GET_SIZE(pending)
        cdef bint is_ascii = self.seen < 0x80
        self.seen = 0
        if before == 0 and is_ascii:
            self.surveyed += size
            self.survey.characters += size
            return b""
        cdef const uint8_t *start = self.memory + self.filled - size
        if before > self.filled - size:
            # The character began in the fragment before.
            return utf8_rest(pending, start[:size])
        start -= before
        size += before
        cdef int truncated = 0
        cdef size_t valid = ropeway_utf8_survey(start, size, &truncated, &self.survey)
        self.surveyed += valid
        if valid == <size_t>size:
            return b""
        if not truncated:
            PyUnicode_DecodeUTF8(<const char *>start, size, NULL)  # raises
        return start[valid:size]

    cpdef object take(self):
        cdef object payload
        cdef const uint8_t *text
        if self.capacity != self.filled:
            self._reserve(self.filled)
        payload = <object>self.payload
        Py_XDECREF(self.payload)
        self.payload = NULL
        self.memory = NULL
        if not self.as_str or self.is_str:
            return payload
        text = <const uint8_t *>PyBytes_AS_STRING(payload)
        if self.surveyed == self.filled:
            return _widened(text, self.filled, &self.survey)
        return _decoded(text, self.filled)

    cdef _reserve(self, Py_ssize_t capacity):
        # Growing is by a factor, and never beyond what was announced: copies stay few, and what is
        # allocated stays in proportion to what has arrived.
        cdef bytes larger
        capacity = min(capacity, self.length)
        if self.payload is NULL:
            fresh = PyUnicode_New(capacity, 127) if self.is_str else (
                PyBytes_FromStringAndSize(NULL, capacity)
            )
            Py_INCREF(fresh)
            self.payload = <PyObject *>fresh
        elif self.is_str:
            PyUnicode_Resize(&self.payload, capacity)
        elif references(self.payload) == 1:
            self.memory = NULL
            self.capacity = 0
            _PyBytes_Resize(&self.payload, capacity)
        else:
            # A view of it is still around; it keeps the old memory.
            larger = PyBytes_FromStringAndSize(NULL, capacity)
            memcpy(PyBytes_AS_STRING(larger), self.memory, self.filled)
            Py_XDECREF(self.payload)
            Py_INCREF(larger)
            self.payload = <PyObject *>larger
        self.capacity = capacity
        if self.is_str:
            self.memory = <uint8_t *>PyUnicode_DATA(<object>self.payload)
        else:
            self.memory = <uint8_t *>PyBytes_AS_STRING(<object>self.payload)

    cdef _become_bytes(self):
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, self.capacity)
        memcpy(PyBytes_AS_STRING(payload), self.memory, self.filled)
        Py_XDECREF(self.payload)
        Py_INCREF(payload)
        self.payload = <PyObject *>payload
        self.memory = <uint8_t *>PyBytes_AS_STRING(payload)
        self.is_str = False

    def __getbuffer__(self, Py_buffer *view, int flags):
        # The view belongs to the payload itself, so its memory outlives whatever happens here.
        if self.payload is NULL:
            raise BufferError("the payload has been taken")
        view.obj = <object>self.payload
        view.buf = self.memory + self.filled
        view.len = self.offered
        view.readonly = 0
        view.itemsize = 1
        view.format = <char *>BYTES if flags & PyBUF_FORMAT else NULL
        view.ndim = 1
        view.shape = &view.len if flags & PyBUF_ND else NULL
        view.strides = &view.itemsize if flags & PyBUF_STRIDES == PyBUF_STRIDES else NULL
        view.suboffsets = NULL
        view.internal = NULL
