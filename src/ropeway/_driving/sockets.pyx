# cython: language_level=3
"""The compiled half of sockets.py."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno

cdef extern from *:
    """
    #include <errno.h>

    #ifdef _WIN32
    /* Its sockets are no descriptors: there, the methods of the socket object do. */
    #define ROPEWAY_DESCRIPTORS 0
    #define ropeway_recv(fd, data, size) ((void)(fd), (void)(data), (void)(size), -1)
    #define ropeway_send(fd, data, size) ((void)(fd), (void)(data), (void)(size), -1)
    struct iovec { void *iov_base; size_t iov_len; };
    #define ropeway_send_several(fd, places, count) \
        ((void)(fd), (void)(places), (void)(count), -1)
    #define ropeway_recv_soon(fd, data, size, patience) \
        ((void)(fd), (void)(data), (void)(size), (void)(patience), -1)
    #else
    #include <sched.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <time.h>
    #define ROPEWAY_DESCRIPTORS 1
    #ifdef MSG_NOSIGNAL
    #define ROPEWAY_FLAGS MSG_NOSIGNAL
    #else
    #define ROPEWAY_FLAGS 0
    #endif
    #define ropeway_recv(fd, data, size) recv(fd, data, (size_t)(size), 0)
    #define ropeway_send(fd, data, size) send(fd, data, (size_t)(size), ROPEWAY_FLAGS)

    static inline Py_ssize_t ropeway_send_several(int fd, struct iovec *places, int count)
    {
        struct msghdr message = {0};
        message.msg_iov = places;
        message.msg_iovlen = count;
        return sendmsg(fd, &message, ROPEWAY_FLAGS);
    }
    #endif

    #define ropeway_would_wait() \
        (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)

    #ifndef _WIN32
    static inline double ropeway_now(void)
    {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    }

    static Py_ssize_t ropeway_recv_soon(int fd, void *data, Py_ssize_t size, double patience)
    {
        double ends = ropeway_now() + patience;
        for (;;) {
            Py_ssize_t done = recv(fd, data, (size_t)size, MSG_DONTWAIT);
            if (done >= 0 || !ropeway_would_wait() || ropeway_now() >= ends)
                return done;
            sched_yield(); /* where the peer is to run on this processor */
        }
    }
    #endif
    """
    const bint ROPEWAY_DESCRIPTORS
    Py_ssize_t ropeway_recv(int fd, void *data, Py_ssize_t size)
    Py_ssize_t ropeway_recv_soon(int fd, void *data, Py_ssize_t size, double patience) nogil
    Py_ssize_t ropeway_send(int fd, const void *data, Py_ssize_t size)
    Py_ssize_t ropeway_send_several(int fd, iovec *places, int count)
    bint ropeway_would_wait()

    struct iovec:
        void *iov_base
        size_t iov_len

cdef enum:
    WOULD_WAIT = -1
    PLACES = 64

NOT_NOW = WOULD_WAIT
MOST_PLACES = PLACES

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


cpdef Py_ssize_t receive_soon(sock, int fd, buffer, double patience) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t done
    if not ROPEWAY_DESCRIPTORS:
        return WOULD_WAIT
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    try:
        with nogil:
            done = ropeway_recv_soon(fd, view.buf, view.len, patience)
        done = _outcome(done)
    finally:
        PyBuffer_Release(&view)
    if done == WOULD_WAIT:
        # A signal that came meanwhile would not interrupt the sleep that follows.
        PyErr_CheckSignals()
    return done


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


cpdef Py_ssize_t send_several(sock, int fd, list pieces, Py_ssize_t first) except -2:
    cdef iovec places[PLACES]
    cdef Py_ssize_t end = min(first + PLACES, len(pieces))
    cdef Py_ssize_t i
    cdef bint plain = ROPEWAY_DESCRIPTORS
    for i in range(first, end):
        piece = pieces[i]
        if type(piece) is not bytes:
            plain = False
            break
        places[i - first].iov_base = PyBytes_AS_STRING(piece)
        places[i - first].iov_len = PyBytes_GET_SIZE(piece)
    if not plain:
        return _by_method(sock.sendmsg, pieces[first:end])
    return _outcome(ropeway_send_several(fd, places, <int>(end - first)))
