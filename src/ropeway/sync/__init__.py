"""WebSockets for threads: blocking calls, any number of threads, no thread behind a connection."""
