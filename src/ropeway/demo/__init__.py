"""A room in which browser tabs and terminals meet: ``python -m ropeway.demo``.

A real server, real clients and real figures, in a few small files that only use the public API:

- ``room`` is the server: who is here, what is said, how long a ping takes;
- ``page`` serves ``room.html`` to browsers, on the port of the WebSocket endpoint;
- ``visit`` is the client, ``terminal`` its face on a command line, ``crowd`` many of them;
- ``messages`` are the words that both sides exchange, ``text`` makes a stranger's words harmless;
- ``summary`` counts, measures and prints.
"""
