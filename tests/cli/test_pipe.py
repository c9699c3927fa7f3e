"""``ropeway connect`` in a pipe: lines in, lines out, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from ..support.proxies import ConnectProxy
from ..support.tls import TLS
from .conftest import COMMAND, Background, Ropeway


def objects(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


# Lines


def test_a_line_is_a_message_and_a_message_a_line(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command("connect", uri, stdin="one\r\nzwei ö\n\nlast".encode())
    assert done.stdout.decode() == "one\nzwei ö\n\nlast\n"
    assert done.stderr == b""


def test_a_uri_alone_is_enough(ropeway_command: Ropeway, uri: str) -> None:
    assert ropeway_command(uri, stdin=b"hello\n").stdout == b"hello\n"
    assert ropeway_command("--timestamps", uri, stdin=b"hello\n").stdout.endswith(b" hello\n")


def test_all_answers_arrive_that_were_on_their_way(ropeway_command: Ropeway, uri: str) -> None:
    lines = b"".join(b"%d\n" % number for number in range(20_000))
    done = ropeway_command(uri, stdin=lines)
    assert done.stdout == lines
    assert done.stderr == b""


def test_a_very_long_line_is_one_message(ropeway_command: Ropeway, uri: str) -> None:
    line = b"x" * 1_000_000 + b"\n"
    assert ropeway_command(uri, stdin=line * 3).stdout == line * 3


def test_a_message_over_the_limit_closes_the_connection(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(uri, "--max-size", "1k", stdin=b"x" * 2000 + b"\n", check=1)
    assert b"1009 (message too big)" in done.stderr
    assert ropeway_command(uri, "--max-size", "0", stdin=b"x" * 2000).returncode == 0


def test_what_acts_on_a_terminal_is_escaped(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(f"{uri}/evil", "-n")
    assert done.stdout.decode() == "\\x1b]0;title\\x07\\x1b[2J\\x9b31m\\u202e\\r\\nnext\n"
    raw = ropeway_command(f"{uri}/evil", "-n", "--raw")
    assert raw.stdout.decode() == "\x1b]0;title\x07\x1b[2J\x9b31m\u202e\r\nnext\n"


def test_json_of_several_lines_is_one_line_of_the_same_json(
    ropeway_command: Ropeway, uri: str
) -> None:
    done = ropeway_command(f"{uri}/json", "-n")
    assert done.stdout == b'{"price": 1.50,  "\\u001b": [null]}\n'


def test_a_binary_message_is_written_in_hexadecimal(ropeway_command: Ropeway, uri: str) -> None:
    assert ropeway_command(f"{uri}/binary", "-n").stdout == b"0001ff" + b"00" * 20 + b"\n"
    raw = ropeway_command(f"{uri}/binary", "-n", "--raw").stdout
    assert raw == b"\x00\x01\xff" + bytes(20)


@pytest.mark.parametrize(
    ("name", "given", "back"),
    [
        ("hex", b"00 ff\n4a4B\n", b"00ff\n4a4b\n"),
        ("base64", b"AP8=\n\n", b"AP8=\n\n"),
    ],
)
def test_formats_for_bytes(
    ropeway_command: Ropeway, uri: str, name: str, given: bytes, back: bytes
) -> None:
    assert ropeway_command(uri, "-f", name, stdin=given).stdout == back


def test_the_json_format_says_everything(ropeway_command: Ropeway, uri: str) -> None:
    lines = [
        {"type": "text", "data": "\x1b\n\ud800"[:2]},
        {"type": "binary", "data": "AP8="},
        {"type": "ping", "data": "well?"},
        {"type": "close", "code": 1000, "reason": "done"},
    ]
    stdin = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    opened, *middle, closed = objects(ropeway_command(uri, "-f", "json", stdin=stdin).stdout)
    assert opened == {"type": "open", "uri": uri, "subprotocol": None}
    assert [one for one in middle if one["type"] != "pong"] == lines[:2]
    (pong,) = (one for one in middle if one["type"] == "pong")
    assert pong["data"] == "well?" and pong["latency"] > 0
    assert closed == {"type": "close", "code": 1000, "reason": "done"}


def test_timestamps(ropeway_command: Ropeway, uri: str) -> None:
    stdout = ropeway_command(f"{uri}/feed?1", "-n", "-t").stdout
    stamp, _, text = stdout.partition(b" ")
    assert text == b"message 0\n"
    assert len(stamp) == len(b"2026-01-01T00:00:00.000+0000")
    events = objects(ropeway_command(f"{uri}/feed?1", "-n", "-t", "-f", "json").stdout)
    assert [event["type"] for event in events] == ["open", "text", "close"]
    assert all(event["time"] > 1.7e9 for event in events)


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("text", b"\xffabc", "line 2 of the input: byte 0xff at column 1 is not UTF-8"),
        ("hex", b"abc", "line 2 of the input: not an even number of hexadecimal digits"),
        ("base64", b"a", "line 2 of the input: not base64"),
        ("json", b"hello", "line 2 of the input: not JSON"),
        ("json", b"[]", 'line 2 of the input: not an object such as {"type"'),
        ("json", b'{"type": "text"}', 'line 2 of the input: "type" has to be'),
        ("json", b'{"type": "close", "code": "1000"}', '"code" has to be int'),
        ("json", b'{"type": "close", "code": 99}', "line 2 of the input: "),
        ("json", b'{"type": "ping", "data": "%s"}' % (b"x" * 126), "line 2 of the input: "),
    ],
)
def test_a_line_that_is_no_message(
    ropeway_command: Ropeway, uri: str, name: str, line: bytes, complaint: str
) -> None:
    first = {"text": b"a", "hex": b"00", "base64": b"AA==", "json": b'{"type":"ping"}'}[name]
    done = ropeway_command(uri, "-f", name, stdin=first + b"\n" + line + b"\n", check=2)
    assert complaint in done.stderr.decode()
    assert b"Traceback" not in done.stderr


# How long


def test_count_ends_it(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(f"{uri}/feed?1000", "-n", "-c", "2")
    assert done.stdout == b"message 0\nmessage 1\n"
    assert done.stderr == b""


def test_count_waits_beyond_the_end_of_the_input(ropeway_command: Ropeway, uri: str) -> None:
    assert ropeway_command(uri, "-c", "1", stdin=b"hello").stdout == b"hello\n"


def test_greetings_come_first(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(uri, "-x", "a", "--send", "b", stdin=b"c")
    assert done.stdout == b"a\nb\nc\n"


def test_the_end_of_the_input_can_wait(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(f"{uri}/wait", "--wait", "200ms", "-f", "json", "-t")
    opened, closed = objects(done.stdout)
    assert 0.2 <= closed["time"] - opened["time"] < 10


def test_reconnecting_goes_on(ropeway_command: Ropeway, uri: str, server: Background) -> None:
    done = ropeway_command(f"{uri}/feed?1", "-n", "-c", "2", "--reconnect", check=0)
    assert done.stdout == b"message 0\nmessage 0\n"
    assert server.connections == 2


def test_reconnecting_gives_up_on_a_refusal(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(f"{uri}/no", "-n", "--reconnect", check=4)
    assert b"trying again" not in done.stderr


# How it ends


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("1000", 0, b""),
        ("1001", 0, b""),
        ("1011&oops", 1, b"received 1011 (internal error) oops"),
        ("4321&%1b[31m", 1, b"received 4321 (private use) %1b[31m"),
    ],
)
def test_the_close_code_decides(
    ropeway_command: Ropeway, uri: str, query: str, code: int, said: bytes
) -> None:
    done = ropeway_command(f"{uri}/close?{query}", "-n", check=code)
    assert said in done.stderr
    assert bool(done.stderr) == bool(code)


def test_a_lost_connection_is_an_error(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(f"{uri}/drop", stdin=b"x\n", check=1)
    assert b"connection closed: no close frame received or sent" in done.stderr


def test_what_was_not_sent_is_said(ropeway_command: Ropeway, uri: str) -> None:
    lines = b'{"type": "close", "code": 4000}\n{"type": "text", "data": "late"}\n'
    done = ropeway_command(uri, "-f", "json", stdin=lines, check=1)
    assert b"line 2 of the input was not sent, nor any after it" in done.stderr


def test_a_refusal_is_explained(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(f"{uri}/no", check=4)
    assert done.stderr.decode() == (
        "ropeway: the server refused the handshake: HTTP 403 Forbidden: not \\x1b[31myou\n"
    )
    assert b"HTTP 503" in ropeway_command(f"{uri}/unavailable", check=4).stderr
    assert b"--auth" in ropeway_command(f"{uri}/auth", check=4).stderr


def test_nobody_there(ropeway_command: Ropeway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = ropeway_command(f"ws://bob:secret@127.0.0.1:{port}", check=3)
    assert done.stderr.decode() == (
        f"ropeway: can't connect to ws://bob:***@127.0.0.1:{port}: Connection refused\n"
    )


def test_a_server_that_says_nothing(ropeway_command: Ropeway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        done = ropeway_command(uri, "--open-timeout", "100ms", check=3)
    assert b"timed out after 0.1 s" in done.stderr


def test_a_server_of_something_else(ropeway_command: Ropeway) -> None:
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"220 mail.example ready\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        done = ropeway_command(f"ws://127.0.0.1:{listening.getsockname()[1]}", check=4)
        thread.join()
    assert b"the handshake failed: " in done.stderr


def test_nobody_reads_the_output(environment: dict[str, str], uri: str) -> None:
    command = [*COMMAND, f"{uri}/feed?100000", "-n"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"message 0\n"
        process.stdout.close()
        assert process.wait(20) == 141
        assert process.stderr.read() == b""


def test_the_output_cannot_be_written(ropeway_command: Ropeway, uri: str, tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("only Linux has a file that is always full")
    command = [*COMMAND, f"{uri}/feed?1", "-n"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=40, check=False)
    assert done.returncode == 1
    assert b"can't write: " in done.stderr


def test_streams_that_are_closed(environment: dict[str, str], uri: str) -> None:
    for redirection, code in (("<&-", 0), (">&-", 0), ("<&- >&- 2>&-", 0)):
        command = f"{shlex.quote(sys.executable)} -m ropeway {uri}/feed?1 -c 1 {redirection}"
        done = subprocess.run(
            ["sh", "-c", command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=40,
            check=False,
        )
        assert done.returncode == code, done
        assert done.stderr == b""
        assert done.stdout == (b"" if ">&-" in redirection else b"message 0\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_closes_the_connection(
    environment: dict[str, str], uri: str, number: signal.Signals, code: int
) -> None:
    command = [*COMMAND, f"{uri}/wait", "-n", "-f", "json"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["type"] == "open"
        process.send_signal(number)
        assert process.wait(20) == code
        assert b"Traceback" not in process.stderr.read()


# What is sent to the server


def test_headers_and_subprotocols(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(
        f"{uri}/headers", "-n", "-v", "-H", "X-Id: 7", "--header", "Cookie: a=b",
        "--origin", "https://example.org", "--user-agent", "me", "-s", "wamp", "-s", "mqtt",
        "--no-compression",
    )  # fmt: skip
    headers = dict(json.loads(done.stdout))
    assert headers["X-Id"] == "7"
    assert headers["Cookie"] == "a=b"
    assert headers["Origin"] == "https://example.org"
    assert headers["User-Agent"] == "me"
    assert headers["Sec-WebSocket-Protocol"] == "wamp, mqtt"
    assert "Sec-WebSocket-Extensions" not in headers
    shown = done.stderr.decode().splitlines()
    assert "ropeway: > X-Id: 7" in shown
    assert "ropeway: > Cookie: ***" in shown
    assert "ropeway: < HTTP/1.1 101 Switching Protocols" in shown
    assert "ropeway: < Sec-WebSocket-Protocol: wamp" in shown


def test_credentials(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command(f"{uri}/auth", "-v", "--auth", "alice:p:w/rd", stdin=b"in\n")
    assert done.stdout == b"in\n"
    assert b"ropeway: > Authorization: ***" in done.stderr
    assert b"w/rd" not in done.stderr
    mail = ropeway_command(f"{uri}/auth?to=b@c", "--auth", "alice:p:w/rd", stdin=b"in\n")
    assert mail.stdout == b"in\n"


def test_a_unix_socket(ropeway_command: Ropeway, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Background(path=path):
        done = ropeway_command("ws://localhost/", "--unix", path, stdin=b"hello\n")
    assert done.stdout == b"hello\n"


def test_tls(ropeway_command: Ropeway, tls_server: Background, tls: TLS) -> None:
    uri = f"wss://localhost:{tls_server.port}"
    done = ropeway_command(uri, stdin=b"x\n", check=3)
    assert b"--ca FILE" in done.stderr and b"--insecure" in done.stderr
    assert ropeway_command(uri, "--ca", str(tls.ca_file), stdin=b"x\n").stdout == b"x\n"
    assert ropeway_command(uri, "--insecure", stdin=b"x\n").stdout == b"x\n"
    wrong = ropeway_command(uri, "--ca", str(tls.ca_file), "--server-name", "else.example", check=3)
    assert b"else.example" in wrong.stderr


def test_tls_where_there_is_none(ropeway_command: Ropeway, server: Background) -> None:
    done = ropeway_command(f"wss://127.0.0.1:{server.port}", check=3)
    assert b"try ws://" in done.stderr


def test_a_certificate_of_ones_own(ropeway_command: Ropeway, tls: TLS, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("client@example.org")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Background(ssl=context) as server:
        trusting = (f"wss://127.0.0.1:{server.port}", "--ca", "ca.pem")
        done = ropeway_command(*trusting, "--cert", "cert.pem", "--key", "key.pem", stdin=b"x\n")
        assert done.stdout == b"x\n"
        assert ropeway_command(*trusting, check=None).returncode in (1, 3, 4)


async def test_through_a_proxy(ropeway_command: Ropeway, uri: str) -> None:
    async with ConnectProxy(credentials=("me", "secret")) as proxy:
        url = f"http://me:secret@127.0.0.1:{proxy.port}"
        done = await asyncio.to_thread(ropeway_command, uri, "--proxy", url, stdin=b"x\n")
        assert done.stdout == b"x\n"
        (asked,) = proxy.asked
        assert f"ws://{asked.host}:{asked.port}" == uri
        wrong = f"http://me:wrong@127.0.0.1:{proxy.port}"
        done = await asyncio.to_thread(ropeway_command, uri, "--proxy", wrong, check=3)
        assert b"the proxy failed: " in done.stderr
        assert b"407" in done.stderr


def test_a_proxy(ropeway_command: Ropeway, uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    proxy = f"http://me:secret@127.0.0.1:{port}"
    done = ropeway_command(uri, "--proxy", proxy, check=3)
    assert b"secret" not in done.stderr
    assert ropeway_command(uri, "--no-proxy", stdin=b"x\n").stdout == b"x\n"


def test_a_proxy_that_needs_a_package(environment: dict[str, str], uri: str) -> None:
    code = """
import sys
sys.modules["python_socks"] = None
from ropeway.cli import main
sys.exit(main())
"""
    command = [sys.executable, "-c", code, uri, "--proxy", "socks5h://127.0.0.1:1", "-n"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=40, check=False)
    assert done.returncode == 3
    assert b"python-socks" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["localhost:80"], "scheme isn't ws or wss (did you mean ws://localhost:80?)"),
        (["connect", ":80/x"], "(did you mean ws://localhost:80/x?)"),
        (["https://a:b@host/x"], "https://a:***@host/x isn't a valid URI: scheme isn't ws or wss"),
        (["https://a:b@host/x"], "(did you mean wss://a:***@host/x?)"),
        (["ws://a:b@host:x/"], "ws://a:***@host:x/ isn't a valid URI: port isn't a number"),
        (["ws://\x1b[2J/"], "ws://\\x1b[2J/ isn't a valid URI"),
        (["ws://host", "-H", "no header"], "'no header' is not of the form 'Name: value'"),
        (["ws://host", "-H", "A: b\r\nC: d"], "is not of the form"),
        (["ws://host", "--max-size", "big"], "'big' is not a number of bytes, such as"),
        (["ws://host", "--wait", "soon"], "'soon' is not a duration, such as"),
        (["ws://host", "-c", "0"], "'0' is not a positive number"),
        (["ws://host", "--insecure"], "TLS options need a wss:// URI"),
        (["wss://host", "--ca", "missing.pem"], "can't load 'missing.pem': No such file"),
        (["ws://a:b@host", "--auth", "c:d"], "credentials both in the URI and in --auth"),
        (["ws://host", "--proxy", "http://p", "--no-proxy"], "not allowed with argument"),
    ],
)
def test_mistakes_are_explained(
    ropeway_command: Ropeway, arguments: list[str], complaint: str
) -> None:
    done = ropeway_command(*arguments, check=2)
    assert complaint in done.stderr.decode()
    assert b"\x1b" not in done.stderr
    assert b"Traceback" not in done.stderr
