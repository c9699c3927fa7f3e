# cython: language_level=3
"""The compiled half of results.py."""


cdef extern from "Python.h":
    void PyErr_SetObject(object kind, object value)


cpdef void set_result(object value) noexcept:
    # Neither makes an exception nor a traceback: the interpreter takes the value out again.
    PyErr_SetObject(StopIteration, value)
