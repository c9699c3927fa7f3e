# Types for guard.py.

import cython

cdef double NEVER
cdef long long FAIR_SHARE


cdef class Guard:
    cdef readonly object slowness
    cdef readonly object tally
    cdef public unsigned long long messages_not_sent
    cdef public long long buffered
    cdef readonly bint stalled
    cdef double _since
    cdef long long _taken

    cdef readonly object idle_timeout
    cdef double _active_at
    cdef double _look_at
    cdef tuple _seen
    cdef readonly object max_age
    cdef double _ends_at

    cdef readonly bint rated
    cdef double _message_rate
    cdef double _message_burst
    cdef double _byte_rate
    cdef double _byte_burst
    cdef double _messages
    cdef double _bytes
    cdef long long _messages_seen
    cdef long long _bytes_seen
    cdef double _filled_at

    cpdef choke(self, double now, long long taken)
    cpdef relieve(self)
    cpdef bint is_slow(
        self, slowness, double now, long long taken, long long buffered, long long size
    ) except -1
    cpdef bint has_stalled(self, slowness, double now, long long taken) except -1
    cpdef double stall_deadline(self) except -1
    cpdef double next_deadline(self) except -1

    @cython.locals(taken="long long")
    cpdef on_deadline(self, engine, double now)
    cdef _close_slow(self, engine, long long buffered)
    cpdef start(self, engine, double now)
    cdef _check_idleness(self, engine, double now)
    cdef _note_activity(self, engine, double now)

    @cython.locals(next_look="double")
    cdef _look_next(self, double now)

    cdef tuple _activity(self, engine)
    cpdef int budget(self, int most, double now) except -1

    @cython.locals(seconds="double")
    cdef _fill(self, double now)

    cpdef too_fast(self, long long messages, long long nbytes)


@cython.locals(guard=Guard)
cpdef bint admit(engine, slowness, long long size, long long buffered, double now) except -1
