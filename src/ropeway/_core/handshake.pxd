# Types for handshake.py.

cpdef check_upgrade(headers)
cpdef single_value(headers, name)
