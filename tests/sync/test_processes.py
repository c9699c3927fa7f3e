"""Signals and forks: Ctrl-C ends a wait, and a child process starts afresh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"

PRELUDE = """
import os, signal, threading, time
from ropeway.protocol import Protocol, Side
from ropeway.sync.client import connect
from ropeway.sync.keeper import NAME, keeper
from ropeway.sync.server import serve

def echo(ws):
    for message in ws:
        ws.send(message)

def start(handler=echo):
    server = serve(handler, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever).start()
    return server, f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
"""


def run(program: str) -> str:
    """Run a program in a process of its own; give what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    "waiting",
    ["ws.recv()", "ws.recv(timeout=30)", "next(iter(ws))", "ws.wait_closed()", "ws.ping().wait()"],
)
def test_ctrl_c_interrupts_and_the_connection_stays(waiting: str) -> None:
    printed = run(f"""
    def handler(ws):
        ws.recv()
        ws.send("still here")
        ws.recv()

    server, uri = start()
    import socket
    listener = socket.create_server(("127.0.0.1", 0))
    ours, theirs = socket.socketpair()
    from ropeway.sync.connection import Connection
    ws = Connection(ours, Protocol(Side.CLIENT), ping_interval=None)

    def interrupt():
        while not (ws._leading and ws._reads):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    try:
        {waiting}
    except KeyboardInterrupt:
        print("interrupted")
    theirs.sendall(bytes([0x81, 2]) + b"ok")
    print(ws.recv(timeout=5))
    ws.abort()
    listener.close()
    theirs.close()
    server.shutdown()
    """)
    assert printed.split("\n") == ["interrupted", "ok", ""]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers")
def test_an_alarm_interrupts_and_the_connection_stays() -> None:
    """What its handler raises is an OSError like those of a socket, and isn't one's end."""
    printed = run("""
    import socket
    from ropeway.sync.connection import Connection
    ours, theirs = socket.socketpair()
    ws = Connection(ours, Protocol(Side.CLIENT), ping_interval=None)

    def ring(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise TimeoutError("by hand")

    signal.signal(signal.SIGALRM, ring)
    for waiting in (ws.recv, lambda: ws.recv(timeout=30), ws.wait_closed):
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        try:
            waiting()
        except TimeoutError as exc:
            print(exc)
    theirs.sendall(bytes([0x81, 2]) + b"ok")
    print(ws.recv(timeout=5))
    ws.abort()
    theirs.close()
    """)
    assert printed.splitlines() == ["by hand"] * 3 + ["ok"]


def test_ctrl_c_ends_a_server() -> None:
    printed = run("""
    def interrupt():
        with connect(uri, legacy=True) as ws:
            ws.send("hello")
            ws.recv()
            os.kill(os.getpid(), signal.SIGINT)
            try:
                ws.recv()
            except Exception as exc:
                seen.append(f"{type(exc).__name__} {exc}")

    seen = []
    server = serve(echo, "127.0.0.1", 0)
    uri = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
    client = threading.Thread(target=interrupt)
    client.start()
    try:
        with server:
            server.serve_forever()
    except KeyboardInterrupt:
        print("interrupted")
    client.join()
    print(*seen, sep="\\n")
    """)
    assert printed.splitlines() == [
        "interrupted",
        "ConnectionClosedOK received 1001 (going away); then sent 1001 (going away)",
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_has_a_keeper_of_its_own() -> None:
    printed = run("""
    import warnings
    warnings.simplefilter("ignore")  # newer versions of Python warn of forks beside threads
    server, uri = start()
    with connect(uri, legacy=True) as before:
        before.send("parent")
        before.recv()
        child = os.fork()
        if child == 0:
            names = [thread.name for thread in threading.enumerate()]
            assert NAME not in names, names
            with connect(uri, legacy=True, ping_interval=0.05) as ws:
                ws.send("child")
                assert ws.recv() == "child"
                while ws.latency == 0:
                    time.sleep(0.01)
                assert [t.name for t in threading.enumerate()].count(NAME) == 1
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        before.send("parent again")
        print(before.recv())
    server.shutdown()
    """)
    assert printed.splitlines() == ["0", "parent again"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_can_use_what_it_inherited_from_a_busy_parent() -> None:
    printed = run("""
    import socket, warnings
    warnings.simplefilter("ignore")
    from ropeway.sync.connection import Connection
    ours, theirs = socket.socketpair()
    ws = Connection(ours, Protocol(Side.CLIENT), ping_interval=None)

    def receive():
        try:
            ws.recv()
        except Exception:
            pass

    threading.Thread(target=receive, daemon=True).start()
    while not ws._leading:
        time.sleep(0.01)
    with ws._lock:  # held by nobody in the child
        child = os.fork()
    if child == 0:
        ws.send("from the child")
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(len(theirs.recv(100)))
    ws.abort()
    theirs.close()
    """)
    assert printed.splitlines() == ["0", "20"]
    assert signal.getsignal(signal.SIGINT) is not None
