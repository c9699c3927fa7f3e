# cython: language_level=3
"""The compiled half of sockets.py."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno

cdef extern from *:
    """
    #include <errno.h>

    #ifdef _WIN32
    /* Its sockets are no descriptors: there, the methods of the socket object do. */
    #define ROPEWAY_DESCRIPTORS 0
    #define ropeway_recv(fd, data, size) ((void)(fd), (void)(data), (void)(size), -1)
    #define ropeway_send(fd, data, size) ((void)(fd), (void)(data), (void)(size), -1)
    #else
    #include <sys/socket.h>
    #define ROPEWAY_DESCRIPTORS 1
    #ifdef MSG_NOSIGNAL
    #define ROPEWAY_FLAGS MSG_NOSIGNAL
    #else
    #define ROPEWAY_FLAGS 0
    #endif
    #define ropeway_recv(fd, data, size) recv(fd, data, (size_t)(size), 0)
    #define ropeway_send(fd, data, size) send(fd, data, (size_t)(size), ROPEWAY_FLAGS)
    #endif

    #define ropeway_would_wait() \
        (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
    """
    const bint ROPEWAY_DESCRIPTORS
    Py_ssize_t ropeway_recv(int fd, void *data, Py_ssize_t size)
    Py_ssize_t ropeway_send(int fd, const void *data, Py_ssize_t size)
    bint ropeway_would_wait()

cdef enum:
    WOULD_WAIT = -1

NOT_NOW = WOULD_WAIT

# Processors take a store for the load that follows it when their addresses have these bits in
# common. What comes from the kernel often begins a page there; memory of malloc() begins 16 bytes
# into one, and a copy that is a few bytes ahead of its source like that takes four times as long.
cdef Py_ssize_t ALIKE = 4096


cpdef bytearray receive_buffer(Py_ssize_t size):
    cdef bytearray buffer = bytearray(size + ALIKE)
    cdef Py_ssize_t behind = <Py_ssize_t>PyByteArray_AS_STRING(buffer) % ALIKE
    # Where the front is cut off, the rest stays where it is.
    del buffer[: ALIKE - behind]
    del buffer[size:]
    return buffer


cdef Py_ssize_t _outcome(Py_ssize_t done) except -2:
    if done >= 0:
        return done
    if ropeway_would_wait():
        return WOULD_WAIT
    PyErr_SetFromErrno(OSError)
    return -2


cdef Py_ssize_t _by_method(method, data) except -2:
    try:
        return method(data)
    except (BlockingIOError, InterruptedError):
        return WOULD_WAIT


cpdef Py_ssize_t receive(sock, int fd, buffer) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t done
    if not ROPEWAY_DESCRIPTORS:
        return _by_method(sock.recv_into, buffer)
    if type(buffer) is bytearray:
        return _outcome(
            ropeway_recv(fd, PyByteArray_AS_STRING(buffer), PyByteArray_GET_SIZE(buffer))
        )
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    done = ropeway_recv(fd, view.buf, view.len)
    # Releasing may call into the system, and errno is wanted still.
    try:
        return _outcome(done)
    finally:
        PyBuffer_Release(&view)


cpdef Py_ssize_t send(sock, int fd, data) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t done
    if not ROPEWAY_DESCRIPTORS:
        return _by_method(sock.send, data)
    if type(data) is bytes:
        return _outcome(ropeway_send(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)))
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    done = ropeway_send(fd, view.buf, view.len)
    try:
        return _outcome(done)
    finally:
        PyBuffer_Release(&view)
