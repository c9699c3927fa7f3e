"""``ropeway connect`` in a real terminal: what is on its screen, key by key."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ..support.require import require_package
from .conftest import Background

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are of Unix", allow_module_level=True)
if importlib.util.find_spec("pyte") is None and os.environ.get("ROPEWAY_REQUIRE_ALL") != "1":
    pytest.skip("pyte is not installed (pip install pyte)", allow_module_level=True)

from .terminals import ALT_ENTER, CTRL_C, CTRL_D, ENTER, TAB, UP, Terminal, in_terminal

Enter = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture(params=["prompt_toolkit", "plain"])
def enter(request: pytest.FixtureRequest, environment: dict[str, str]) -> Enter:
    """Run ``ropeway`` in a terminal, with and without prompt_toolkit."""
    if request.param == "prompt_toolkit":
        require_package("prompt_toolkit")

    def run(*arguments: str, **size: int) -> AbstractContextManager[Terminal]:
        plain = ["--plain"] if request.param == "plain" else []
        return in_terminal([*arguments, *plain], environment, **size)

    return run


@pytest.fixture
def prompt(environment: dict[str, str]) -> Enter:
    """Run ``ropeway`` in a terminal, with prompt_toolkit."""
    require_package("prompt_toolkit")

    def run(*arguments: str, **size: int) -> AbstractContextManager[Terminal]:
        return in_terminal(arguments, environment, **size)

    return run


@pytest.fixture
def history(environment: dict[str, str]) -> Path:
    return Path(environment["XDG_STATE_HOME"]) / "ropeway" / "history"


# What happens


def test_a_conversation(enter: Enter, uri: str) -> None:
    with enter(uri) as terminal:
        terminal.expect_line(f"* connected to {uri}")
        terminal.type("hello" + ENTER)
        terminal.expect_line("< hello")
        assert terminal.lines.index("> hello") < terminal.lines.index("< hello")
        terminal.type(CTRL_D)
        assert terminal.end() == 0
        terminal.expect_line("* connection closed: sent 1000 (OK); then received 1000 (OK)")


def test_what_is_typed_stays_when_something_arrives(
    enter: Enter, uri: str, server: Background
) -> None:
    with enter(uri) as terminal:
        terminal.expect("connected")
        terminal.type("half a line")
        terminal.expect_line("> half a line")
        server.say("here I am")
        terminal.expect("< here I am\n> half a line")
        terminal.type(", and the rest" + ENTER)
        terminal.expect_line("< half a line, and the rest")


def test_nothing_that_arrives_acts_on_the_terminal(enter: Enter, uri: str) -> None:
    with enter(f"{uri}/evil", "--color", "never") as terminal:
        terminal.expect_line("< \\x1b]0;title\\x07\\x1b[2J\\x9b31m\\u202e")
        terminal.expect_line("  next")
        terminal.type(CTRL_D)
        terminal.end()
        assert b"\x1b]0" not in terminal.output
        assert b"\x07" not in terminal.output
        assert "\x9b".encode() not in terminal.output


def test_nor_does_the_reason_of_a_close_frame_or_a_refusal(enter: Enter, uri: str) -> None:
    with enter(f"{uri}/close?4000&\x1b[31m".replace("\x1b", "%1b")) as terminal:
        assert terminal.end() == 1
        terminal.expect("4000 (private use) %1b[31m")
    with enter(f"{uri}/no") as terminal:
        assert terminal.end() == 4
        terminal.expect("HTTP 403 Forbidden: not \\x1b[31myou")


def test_directions_have_colours(enter: Enter, uri: str) -> None:
    with enter(uri) as terminal:
        terminal.expect("connected")
        terminal.type("hello" + ENTER)
        terminal.expect_line("< hello")
        assert b"\x1b[32m< " in terminal.output or b"\x1b[0;32m< " in terminal.output
        assert b"34m> " in terminal.output


def test_colours_can_be_left_out(enter: Enter, uri: str, environment: dict[str, str]) -> None:
    environment["NO_COLOR"] = "1"
    with enter(f"{uri}/json") as terminal:
        terminal.expect("price")
        terminal.type(CTRL_D)
        terminal.end()
        for code in (b"32m", b"36m", b"33m", b"90m"):
            assert code not in terminal.output


def test_colours_can_be_insisted_on(enter: Enter, uri: str, environment: dict[str, str]) -> None:
    environment["NO_COLOR"] = "1"
    with enter(f"{uri}/json", "--color", "always") as terminal:
        terminal.expect("price")
        terminal.type(CTRL_D)
        terminal.end()
        assert b"32m" in terminal.output


def test_json_is_laid_out(enter: Enter, uri: str) -> None:
    with enter(f"{uri}/json") as terminal:
        terminal.expect_line('< {"price": 1.50, "\\u001b": [null]}')
    with enter(f"{uri}/json", columns=30) as terminal:
        terminal.expect('< {\n    "price": 1.50,\n    "\\u001b": [\n      null\n    ]\n  }')
    with enter(f"{uri}/json", "--raw") as terminal:
        terminal.expect('< {"price": 1.50,\n   "\\u001b": [null]}')


def test_bytes_are_shown_in_hexadecimal(enter: Enter, uri: str) -> None:
    with enter(f"{uri}/binary") as terminal:
        terminal.expect_line("< binary, 23 bytes")
        row = "  00000000  00 01 ff 00 00 00 00 00  00 00 00 00 00 00 00 00  ................"
        terminal.expect_line(row)
        terminal.expect_line("  00000010  00 00 00 00 00 00 00" + " " * 30 + ".......")


def test_a_long_message_is_cut(enter: Enter, uri: str) -> None:
    with enter(uri) as terminal:
        terminal.expect("connected")
        terminal.type("/whole off" + ENTER)
        terminal.expect("long messages are cut")
        terminal.type(f"/file {sys.executable}" + ENTER)
        terminal.expect("bytes more")


def test_timestamps(enter: Enter, uri: str) -> None:
    with enter(f"{uri}/feed?1", "-t") as terminal:
        terminal.end()
        (line,) = (line for line in terminal.lines if line.endswith("< message 0"))
        stamp, _, _ = line.partition(" ")
        assert [len(part) for part in stamp.split(":")] == [2, 2, 6]


def test_the_handshake_can_be_seen(enter: Enter, uri: str) -> None:
    with enter(uri, "-v", "-s", "wamp", "-H", "Cookie: secret") as terminal:
        terminal.expect_line(f"* connected to {uri}, subprotocol wamp")
        text = terminal.expect("< HTTP/1.1 101", "> Cookie: ***")
        assert "secret" not in text


# What can be typed


def test_commands(enter: Enter, uri: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("from a file")
    (tmp_path / "bytes").write_bytes(b"\xfe\xff")
    typed_and_shown = [
        ("/help", "/close [CODE [REASON]]"),
        ("/hex 48 65 6C 6c 6f", "< binary, 5 bytes"),
        ("/base64 AAE=", "< binary, 2 bytes"),
        ("/hex 0", "* not an even number of hexadecimal digits"),
        ("/base64 ?", "* not base64: "),
        ("//slash", "< /slash"),
        ("/text  x", "< x"),
        ("/nothing", "* no command /nothing; /help lists them"),
        ("/json maybe", "* 'maybe' is neither on nor off"),
        ("/json", "* JSON is shown as it is"),
        ("/time on", "* timestamps are on"),
        ("/time", "* timestamps are off"),
        ("/ping", "* pong after "),
        ("/ping " + "x" * 126, "* control frame too long"),
        ("/info", "extensions: permessage-deflate"),
        ("/headers", "< HTTP/1.1 101 Switching Protocols"),
        (f"/textfile {tmp_path}/text", "< from a file"),
        (f"/textfile {tmp_path}/bytes", "byte 0 is not UTF-8"),
        (f"/file {tmp_path}/bytes", "fe ff"),
        ("/file /no/such", "can't read /no/such: No such file or directory"),
        ("/file", "which file?"),
        ("/close x", "usage: /close [CODE [REASON]]"),
    ]
    with enter(uri, columns=100) as terminal:
        terminal.expect("connected")
        for typed, shown in typed_and_shown:
            terminal.enter(typed, shown)


def test_closing_with_a_code(enter: Enter, uri: str) -> None:
    with enter(uri) as terminal:
        terminal.expect("connected")
        terminal.type("/close 99" + ENTER)
        terminal.expect("* ")
        terminal.type("/close 1000 so long" + ENTER)
        assert terminal.end() == 0
        terminal.expect("connection closed: sent 1000 (OK) so long;")


@pytest.mark.parametrize("way", ["/quit" + ENTER, CTRL_D])
def test_leaving(enter: Enter, uri: str, way: str) -> None:
    with enter(uri) as terminal:
        terminal.expect("connected")
        terminal.type(way)
        assert terminal.end() == 0


def test_interrupting(enter: Enter, uri: str) -> None:
    with enter(uri) as terminal:
        terminal.expect("connected")
        terminal.type(CTRL_C)
        assert terminal.end() == 130
        terminal.expect("connection closed: sent 1001 (going away)")
        assert "Traceback" not in terminal.text


def test_interrupting_while_connecting(enter: Enter, environment: dict[str, str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        with enter(f"ws://127.0.0.1:{silent.getsockname()[1]}") as terminal:
            peer, _ = silent.accept()
            with peer:
                assert peer.recv(3) == b"GET"
                terminal.expect(">")
                terminal.type(CTRL_C)
                assert terminal.end() == 130
        assert "Traceback" not in terminal.text


def test_being_terminated_gives_the_terminal_back(enter: Enter, uri: str) -> None:
    import termios

    with enter(uri) as terminal:
        terminal.expect("connected", "\n>")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(20) == 143
        local_modes = termios.tcgetattr(terminal.descriptor)[3]
        assert local_modes & termios.ECHO
        assert local_modes & termios.ICANON


def test_the_server_is_gone(enter: Enter, uri: str) -> None:
    with enter(f"{uri}/drop") as terminal:
        terminal.expect("connected")
        terminal.type("x" + ENTER)
        assert terminal.end() == 1
        terminal.expect("* connection closed: no close frame received or sent")


def test_reconnecting(enter: Enter, uri: str, server: Background) -> None:
    with enter(f"{uri}/drop-first", "--reconnect") as terminal:
        terminal.expect("connected")
        terminal.type("x" + ENTER)
        terminal.expect("connection closed")
        terminal.type("y" + ENTER)
        terminal.expect_line("< y")
        assert server.connections == 2
        terminal.type(CTRL_D)
        assert terminal.end() == 0


def test_greetings_are_shown(enter: Enter, uri: str) -> None:
    with enter(uri, "-x", "good morning") as terminal:
        terminal.expect("> good morning\n< good morning")


def test_a_terminal_of_another_encoding(
    enter: Enter, uri: str, environment: dict[str, str]
) -> None:
    environment["PYTHONIOENCODING"] = "latin-1"
    with enter(uri, "-x", "\u5c71") as terminal:
        terminal.expect("connected")
        terminal.type("/ping" + ENTER)
        terminal.expect("pong after")


def test_a_pipe_on_one_side_is_a_pipe(prompt: Enter, uri: str) -> None:
    with prompt(f"{uri}/feed?1", "--no-input") as terminal:
        assert terminal.end() == 0
        assert terminal.text == "message 0"


# Editing and history


def test_editing(prompt: Enter, uri: str) -> None:
    with prompt(uri) as terminal:
        terminal.expect("connected to", "Ctrl-D leaves")
        terminal.type("wrld\x1b[D\x1b[D\x1b[Do" + ENTER)
        terminal.expect_line("< world")
        terminal.type("forget this" + CTRL_C)
        terminal.type("two" + ALT_ENTER + "lines" + ENTER)
        terminal.expect("< two\n  lines")
        terminal.type("/inf" + TAB)
        terminal.expect_line("> /info")
        terminal.type(ENTER)
        terminal.expect("received: 2 messages")


def test_history_is_kept_for_its_owner_alone(prompt: Enter, uri: str, history: Path) -> None:
    with prompt(uri) as terminal:
        terminal.expect("connected")
        for line in ("first", "second", " token abc"):
            terminal.type(line + ENTER)
            terminal.expect_line(f"< {line}")
        terminal.type(CTRL_D)
        terminal.end()
    assert history.read_text() == '"first"\n"second"\n'
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    with prompt(uri) as terminal:
        terminal.expect("connected")
        terminal.type(UP + UP)
        terminal.expect_line("> first")
        terminal.type(ENTER)
        terminal.expect_line("< first")


def test_no_history_if_not_wanted(prompt: Enter, uri: str, history: Path) -> None:
    with prompt(uri, "--no-history") as terminal:
        terminal.expect("connected")
        terminal.type("hello" + ENTER)
        terminal.expect_line("< hello")
        terminal.type(UP)
        terminal.expect_line("> hello")
    assert not history.exists()


def test_the_password_is_shown_and_kept_nowhere(
    prompt: Enter, server: Background, history: Path
) -> None:
    with prompt(f"ws://alice:p%3Aw%2Frd@127.0.0.1:{server.port}/auth", "-v") as terminal:
        terminal.expect("> Authorization: ***", f"ws://alice:***@127.0.0.1:{server.port}")
        terminal.type("login p:w/rd" + ENTER)
        terminal.expect_line("< login p:w/rd")
        terminal.type("hello" + ENTER)
        terminal.expect_line("< hello")
        terminal.type(CTRL_D)
        terminal.end()
    assert history.read_text() == '"hello"\n'


def test_the_password_is_asked_for(prompt: Enter, uri: str) -> None:
    with prompt(f"{uri}/auth", "--auth", "alice") as terminal:
        terminal.expect("Password of alice:")
        terminal.type("p:w/rd" + ENTER)
        terminal.expect("connected to")
        assert "p:w/rd" not in terminal.text


def test_a_flood_is_shown_and_left(enter: Enter, uri: str) -> None:
    with enter(f"{uri}/feed?20000") as terminal:
        terminal.expect("< message 100")
        terminal.type(CTRL_D)
        assert terminal.end() in (0, 130)


def test_a_terminal_that_can_do_nothing(uri: str, environment: dict[str, str]) -> None:
    environment["TERM"] = "dumb"
    with in_terminal([uri], environment) as terminal:
        terminal.expect("connected")
        terminal.type("hello" + ENTER)
        terminal.expect_line("< hello")
        terminal.type(CTRL_D)
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.output
