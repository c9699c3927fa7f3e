"""The words of the command line: harmless text, sizes, durations, messages as pieces, history."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ropeway.cli import paint
from ropeway.cli.history import KEPT, History, history_path
from ropeway.cli.lines import FORMATS, Malformed
from ropeway.cli.text import acts, columns, hide_secrets, printable, seconds, size


def shown(message: str | bytes, width: int = 80, *, whole: bool = False) -> str:
    pieces = paint.message(message, True, width, layout=True, whole=whole)
    return "".join(text for _, text in pieces)


# Text


@given(some.text(some.characters()))
def test_printable_text_does_nothing(text: str) -> None:
    result = printable(text)
    assert not any(acts(character) for character in result)
    assert printable(result) == result


def test_printable_keeps_what_it_is_told_to() -> None:
    assert printable("a\tb\n", keep="\t") == "a\tb\\n"
    assert printable("schön 山 \U0001f468\u200d\U0001f469") == "schön 山 \U0001f468\u200d\U0001f469"


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("ws://a:b@host/x", "ws://a:***@host/x"),
        ("ws://a:b@c@host/x", "ws://a:***@host/x"),
        ("http://me:pw@proxy:80, wss://you:pw@host", "http://me:***@proxy:80, wss://you:***@host"),
        ("ws://host:80/a@b", "ws://host:80/a@b"),
        ("ws://host/?u=a:b@c", "ws://host/?u=a:b@c"),
        ("socks5h://:pw@host", "socks5h://:***@host"),
    ],
)  # fmt: skip
def test_secrets_are_hidden(text: str, harmless: str) -> None:
    assert hide_secrets(text) == harmless


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("17", 17), ("64k", 65536), ("1M", 2**20), ("2 GiB", 2**31)]
)
def test_sizes(text: str, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("2.5", 2.5), ("100ms", 0.1), ("3s", 3), ("5m", 300), ("1h", 3600)],
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "x", "-1", "1 day", "1e3", "k", "inf", "nan"])
def test_neither_sizes_nor_durations(text: str) -> None:
    for read in (size, seconds):
        with pytest.raises(ValueError, match="not a"):
            read(text)


# Messages


@given(some.text(some.characters()))
def test_no_message_acts_on_a_terminal(message: str) -> None:
    for line in shown(message).split("\n"):
        assert not any(acts(character) for character in line)


@given(some.text())
def test_only_the_first_line_of_a_message_has_a_mark(message: str) -> None:
    first, *rest = shown(message).split("\n")
    assert first.startswith("< ")
    assert all(line.startswith("  ") for line in rest)


VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text() | some.floats(allow_nan=False),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
)


@given(VALUES.filter(lambda value: isinstance(value, list | dict)), some.integers(2, 100))
def test_json_laid_out_is_the_same_json(value: object, width: int) -> None:
    message = json.dumps(value)
    assert json.loads(shown(message, width)[2:]) == value


@given(VALUES.filter(lambda value: isinstance(value, list | dict)))
def test_json_on_one_line_is_the_same_json(value: object) -> None:
    message = json.dumps(value, indent=2)
    line = FORMATS["text"].write(message)
    assert "\n" not in line
    assert json.loads(line) == value


def test_numbers_and_keys_are_shown_as_they_were_sent() -> None:
    assert shown('{"a":1.50,"a":1e400,"b":[]}') == '< {"a": 1.50, "a": 1e400, "b": []}'


@pytest.mark.parametrize("message", ["{oops", "[" * 100_000, '{"a": 1} x'])
def test_what_only_looks_like_json_is_text(message: str) -> None:
    assert shown(message, whole=True) == f"< {message}"


def test_a_long_message_is_cut_unless_it_is_to_be_whole() -> None:
    assert shown("x" * 10_001).endswith("x… and 1 characters more")
    assert shown(bytes(513)).endswith("… and 1 bytes more")
    assert "more" not in shown("x" * 10_001, whole=True) + shown(bytes(513), whole=True)


def test_an_empty_message_is_shown() -> None:
    assert shown("") == "< "
    assert shown(b"") == "< binary, 0 bytes"
    assert shown(b"a") == "< binary, 1 byte\n  00000000  61" + " " * 46 + "  a"


@given(some.text())
def test_lines_of_json_are_lossless(message: str) -> None:
    form = FORMATS["json"]
    assert form.read(form.write(message).encode()) == message


@given(some.binary())
def test_lines_of_bytes_are_lossless(message: bytes) -> None:
    for name in ("hex", "base64", "json"):
        form = FORMATS[name]
        assert form.read(form.write(message).encode()) == message


@given(some.binary())
def test_a_line_is_a_message_or_malformed(line: bytes) -> None:
    for form in FORMATS.values():
        try:
            form.read(line)
        except Malformed as exc:
            assert str(exc)


def test_cells_are_counted() -> None:
    assert columns("a山é") == 4


# History


def test_history_is_private_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    history = History(path, secrets=("pass", ""))
    added = [history.add(line) for line in ("a", "a", "b", " c", "", "my pass", "d\ne")]
    assert added == [True, True, True, False, False, False, True]
    assert History(path).lines == ["a", "b", "d\ne"] == history.lines
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_history_that_was_open_to_others_no_longer_is(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text('"a"\nnot json\n3\n')
    path.chmod(0o644)
    history = History(path)
    assert history.lines == ["a"]
    history.add("b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_history_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f'"{number}"\n' for number in range(2 * KEPT + 1)))
    history = History(path)
    assert len(history.lines) == KEPT
    assert path.read_text().count("\n") == KEPT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["history"]


def test_history_without_a_place_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "history")
    assert history.add("a")
    assert history.lines == ["a"]


def test_where_history_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROPEWAY_HISTORY", str(tmp_path / "here"))
    assert history_path() == tmp_path / "here"
    monkeypatch.setenv("ROPEWAY_HISTORY", "")
    assert history_path() is None
    monkeypatch.delenv("ROPEWAY_HISTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_path() == tmp_path / "ropeway" / "history"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert history_path() == tmp_path / ".local" / "state" / "ropeway" / "history"
