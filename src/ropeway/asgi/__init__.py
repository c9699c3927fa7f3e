"""WebSockets for servers of ASGI applications; see :mod:`ropeway.asgi.uvicorn`."""
