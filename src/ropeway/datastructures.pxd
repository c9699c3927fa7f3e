# datastructures.py is compiled; its classes stay classes of Python.

cpdef bint is_plain(value)
cpdef _add(dict index, lower, value)
