# Types for sockets.pyx.

cpdef Py_ssize_t receive(sock, int fd, buffer) except -2
cpdef Py_ssize_t receive_soon(sock, int fd, buffer, double patience) except -2
cpdef Py_ssize_t send(sock, int fd, data) except -2
cpdef bytearray receive_buffer(Py_ssize_t size)
cpdef Py_ssize_t send_several(sock, int fd, list pieces, Py_ssize_t first) except -2
