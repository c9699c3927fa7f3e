# For __next__ only: what follows the call has to be `raise StopIteration`, which keeps the result.

cpdef void set_result(object value) noexcept
