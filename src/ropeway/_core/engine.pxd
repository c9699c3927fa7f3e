# Types for engine.py: the attributes that drivers and the public view use are declared public.

import cython

from .closing cimport Closing
from .guard cimport Guard
from .inbox cimport Inbox
from .keepalive cimport Keepalive
from .logs cimport Logged
from .reader cimport Reader
from .shared cimport SharedMessage
from .writer cimport Writer

# Numbers of C: the hot path compares with them for every frame.
cdef int OP_BINARY
cdef int OP_CLOSE
cdef int OP_PING
cdef int OP_PONG
cdef double NEVER


cdef class Engine(Logged):
    cdef object __weakref__

    cdef readonly object side
    cdef readonly object max_message_size
    cdef readonly object max_fragment_size
    cdef public object handshake_exc
    cdef public object parser_exc
    cdef public list events
    cdef readonly Inbox inbox

    cdef public object _state
    cdef list _extensions
    cdef readonly Reader reader
    cdef readonly Writer writer
    cdef readonly Closing closing
    cdef readonly Keepalive keepalive
    cdef public Guard guard

    cdef public bint opening
    cdef public bint discarding
    cdef readonly bint stopped
    cdef bint _full
    cdef bint _held_close
    cdef object _failure
    cdef bint _dropping
    cdef bint _write_paused
    cdef object _pending_pong
    cdef bint _transport_lost

    cdef readonly double now
    cdef double _rest_at
    cdef public double last_received
    cdef public object open_deadline
    cdef readonly object abort_exc
    cdef public list answered_pings

    cdef unsigned long long _received_while_open
    cdef readonly unsigned long long dropped_messages
    cdef readonly unsigned long long pings_sent
    cdef readonly unsigned long long pongs_sent
    cdef readonly unsigned long long pings_received
    cdef readonly unsigned long long pongs_received

    cdef _begin(self, side, state, max_message_size, max_fragment_size, logger)
    cpdef use_inbox(self, Inbox inbox)
    cpdef receive(self, data, Py_ssize_t start, Py_ssize_t end, double now)
    cpdef Py_ssize_t want(self)
    cpdef room(self)
    cpdef receive_in_place(self, Py_ssize_t nbytes, double now)
    cpdef resume(self, double now)

    @cython.locals(reader="Reader", inbox="Inbox", budget="int", delivering="bint")
    cpdef parse(self)
    cdef _hold_to_rates(self, bint delivering)
    cpdef keep_rest(self)
    cpdef bint can_resume(self)
    cpdef receive_end(self)
    cpdef transport_lost(self)

    cdef _fail_parsing(self)

    @cython.locals(reader="Reader", inbox="Inbox", opcode="int", payload="bytes")
    cdef _receive_frame(self)
    cdef _frame_read(self)
    cdef _receive_ping(self, bytes payload)
    cdef _receive_close(self, bytes payload)

    cpdef send_data(self, int opcode, data, bint fin, compress)
    cpdef send_control(self, int opcode, payload)
    cpdef send_shared(self, SharedMessage message)
    cpdef list take_output(self)
    cpdef bint close_expected(self)

    @cython.locals(ends="double")
    cpdef next_deadline(self, double now)
    cdef _rest(self, double now)
