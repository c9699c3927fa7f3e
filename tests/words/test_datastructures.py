from __future__ import annotations

import copy
import pickle
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.datastructures import Headers, MultipleValuesError
from ropeway.exceptions import InvalidHeaderValue

TWICE = [("Set-Cookie", "a=1"), ("Server", "x"), ("set-cookie", "b=2")]


class KeysOnly:
    """The least that dict() accepts as a source of pairs."""

    def keys(self) -> Iterable[str]:
        return ["A", "B"]

    def __getitem__(self, key: str) -> str:
        return key * 2


def items(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.raw_items())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MultipleValuesError("Name"), "'Name'"),
        (MultipleValuesError(), ""),
        (MultipleValuesError("a", "b"), "('a', 'b')"),
    ],
)
def test_multiple_values_error(error: MultipleValuesError, text: str) -> None:
    assert str(error) == text
    assert isinstance(error, LookupError)
    assert not isinstance(error, KeyError)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"A": "1", "B": "2"}, [("A", "1"), ("B", "2")]),
        (TWICE, TWICE),
        (iter(TWICE), TWICE),
        (Headers(TWICE), TWICE),
        (KeysOnly(), [("A", "AA"), ("B", "BB")]),
        ([], []),
    ],
)
def test_sources(source: Any, expected: list[tuple[str, str]]) -> None:
    assert items(Headers(source)) == expected


def test_keywords_come_last() -> None:
    assert items(Headers({"A": "1"}, B="2")) == [("A", "1"), ("B", "2")]
    assert items(Headers(B="2")) == [("B", "2")]


def test_one_source_only() -> None:
    with pytest.raises(TypeError, match="at most 1 positional argument, got 2"):
        Headers({"A": "1"}, {"B": "2"})


@pytest.mark.parametrize("source", [5, "ab"])
def test_other_sources(source: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Headers(source)


def test_str_repr_serialize() -> None:
    headers = Headers([("A", "1"), ("a", "2"), ("B", "é")])
    assert str(headers) == "A: 1\r\na: 2\r\nB: é\r\n\r\n"
    assert repr(headers) == "Headers([('A', '1'), ('a', '2'), ('B', 'é')])"
    assert headers.serialize() == b"A: 1\r\na: 2\r\nB: \xe9\r\n\r\n"


def test_empty() -> None:
    headers = Headers()
    assert (len(headers), list(headers), items(headers)) == (0, [], [])
    assert (repr(headers), str(headers), headers.serialize()) == ("Headers([])", "\r\n", b"\r\n")


def test_lookup_ignores_case() -> None:
    headers = Headers({"Content-Type": "x"})
    assert headers["content-TYPE"] == headers.get("CONTENT-type") == "x"
    assert "content-type" in headers
    assert "content" not in headers
    assert 5 not in headers
    assert list(headers) == ["content-type"]


def test_lookup_of_what_is_not_there() -> None:
    headers = Headers()
    with pytest.raises(KeyError, match="'name'"):
        headers["Name"]
    assert headers.get("Name") is None
    assert headers.get("Name", "default") == "default"
    assert headers.get_all("Name") == []


def test_lookup_of_several_values() -> None:
    headers = Headers(TWICE)
    assert len(headers) == 2
    assert headers.get_all("SET-COOKIE") == ["a=1", "b=2"]
    for lookup in (headers.__getitem__, headers.get, headers.pop):
        with pytest.raises(MultipleValuesError, match="'Set-Cookie'"):
            lookup("Set-Cookie")
    with pytest.raises(MultipleValuesError):
        dict(headers)


def test_what_get_all_returns_is_the_callers() -> None:
    headers = Headers(TWICE)
    headers.get_all("Set-Cookie").clear()
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_setting_adds() -> None:
    headers = Headers(A="1")
    headers["a"] = "2"
    headers.update({"A": "3"}, B="4")
    headers.setdefault("B", "5")
    headers.setdefault("C", "6")
    assert items(headers) == [("A", "1"), ("a", "2"), ("A", "3"), ("B", "4"), ("C", "6")]


def test_updating_from_itself_ends() -> None:
    headers = Headers(A="1")
    headers.update(headers)
    assert items(headers) == [("A", "1"), ("A", "1")]


def test_deleting() -> None:
    headers = Headers(TWICE)
    del headers["SET-cookie"]
    assert items(headers) == [("Server", "x")]
    assert headers.pop("server") == "x"
    assert headers == Headers()
    with pytest.raises(KeyError, match="'name'"):
        del headers["Name"]


def test_clear() -> None:
    headers = Headers(TWICE)
    headers.clear()
    assert (len(headers), items(headers)) == (0, [])
    headers["A"] = "1"
    assert items(headers) == [("A", "1")]


def test_equality() -> None:
    assert Headers(A="1") == Headers(a="1")
    assert Headers(A="1", B="2") == Headers(B="2", A="1")
    assert Headers(A="1") != Headers(A="2")
    assert Headers([("a", "1"), ("a", "2")]) != Headers([("a", "2"), ("a", "1")])
    assert Headers(A="1") != {"A": "1"}
    with pytest.raises(TypeError, match="unhashable"):
        hash(Headers())


@pytest.mark.parametrize(
    "again",
    [
        Headers.copy,
        copy.copy,
        copy.deepcopy,
        *(
            lambda headers, protocol=protocol: pickle.loads(pickle.dumps(headers, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_copies(again: Any) -> None:
    headers = Headers(TWICE)
    headers.set_insecure("X", "\0")
    copied = again(headers)
    assert copied == headers
    assert items(copied) == items(headers)
    copied["Server"] = "y"
    assert headers["Server"] == "x"


CONTROLS = [chr(code) for code in (*range(0x20), 0x7F) if code != 0x09]


@pytest.mark.parametrize("bad", [*CONTROLS, "\u0100", "\u2028", "\ud800"], ids=ascii)
@pytest.mark.parametrize("template", ["{}", "a{}", "a{}b"])
def test_values_that_cannot_be_sent(bad: str, template: str) -> None:
    value = template.format(bad)
    headers = Headers()
    for add in (
        lambda: headers.__setitem__("Name", value),
        lambda: headers.update({"Name": value}),
        lambda: headers.update(Name=value),
        lambda: Headers([("Name", value)]),
    ):
        with pytest.raises(InvalidHeaderValue) as caught:
            add()
        assert (caught.value.name, caught.value.value) == ("Name", value)
    assert items(headers) == []


@pytest.mark.parametrize("value", ["", " ", "\t", "a b", "~", "\x80", "é", "\xff", "a: b"])
def test_values_that_can_be_sent(value: str) -> None:
    headers = Headers(Name=value)
    assert headers.serialize() == f"Name: {value}\r\n\r\n".encode("iso-8859-1")


@pytest.mark.parametrize("bad", ["a\r\nb", "\0", "€"], ids=ascii)
def test_insecure_values_are_kept_and_not_sent(bad: str) -> None:
    headers = Headers()
    headers.set_insecure("Name", bad)
    headers.set_insecure("name", "good")
    assert headers.get_all("Name") == [bad, "good"]
    assert str(headers) == f"Name: {bad}\r\nname: good\r\n\r\n"
    with pytest.raises(InvalidHeaderValue):
        headers.serialize()


@pytest.mark.parametrize(
    "name", ["", "a b", "a:", "a\r\n", "\0", "é", "€", "\ud800", "(a)", "a\t"], ids=ascii
)
def test_names_that_cannot_be_sent(name: str) -> None:
    headers = Headers([("Good", "1"), (name, "2")])
    with pytest.raises(ValueError, match="invalid HTTP header name"):
        headers.serialize()


def test_values_that_are_not_str_are_sent_as_str() -> None:
    # Programs pass numbers; what they become must be checked all the same.
    class Trick:
        def __str__(self) -> str:
            return "a\r\nb"

    headers: Any = Headers({"Length": 5})
    assert headers.serialize() == b"Length: 5\r\n\r\n"
    with pytest.raises(InvalidHeaderValue):
        headers["Trick"] = Trick()
    headers.set_insecure("Trick", Trick())
    with pytest.raises(InvalidHeaderValue):
        headers.serialize()


NAMES = st.text("abAB-_", min_size=1, max_size=3)
VALUES = st.text(st.characters(max_codepoint=255), max_size=5)


@given(st.lists(st.tuples(NAMES, VALUES)))
def test_index_and_list_agree(pairs: list[tuple[str, str]]) -> None:
    headers = Headers()
    for name, value in pairs:
        headers.set_insecure(name, value)
    assert items(headers) == pairs
    assert set(headers) == {name.lower() for name, _ in pairs}
    for key in headers:
        assert headers.get_all(key) == [v for n, v in pairs if n.lower() == key]
    for key in list(headers):
        del headers[key]
    assert items(headers) == []


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=3))
def test_nothing_but_headers_is_ever_sent(pairs: list[tuple[str, str]]) -> None:
    headers = Headers()
    for name, value in pairs:
        headers.set_insecure(name, value)
    try:
        data = headers.serialize()
    except (ValueError, InvalidHeaderValue):
        return
    lines = data.split(b"\r\n")
    assert lines[len(pairs) :] == [b"", b""]
    assert [line.split(b": ", 1)[1].decode("iso-8859-1") for line in lines[: len(pairs)]] == [
        value for _, value in pairs
    ]


class Tagged(Headers):
    tag = "none"


def test_subclasses_keep_their_attributes() -> None:
    headers = Tagged(A="1")
    headers.tag = "some"
    again = pickle.loads(pickle.dumps(headers))
    assert (type(again), again, again.tag) == (Tagged, headers, "some")
    assert repr(headers.copy()) == "Tagged([('A', '1')])"


def test_the_slow_check_agrees_with_the_fast_one() -> None:
    headers = Headers({"Name": "é\t~", "!": ""})
    headers._check()
    assert headers.serialize() == b"Name: \xe9\t~\r\n!: \r\n\r\n"


@given(st.lists(st.tuples(NAMES, st.sampled_from(["1", "a b", "é", "x: y"]))))
def test_headers_from_a_block_are_as_those_from_a_list(pairs: list[tuple[str, str]]) -> None:
    expected = Headers(pairs)
    block = expected.serialize()
    for use in (
        Headers.serialize,
        str,
        repr,
        len,
        list,
        items,
        Headers.copy,
        lambda headers: [headers.get_all(name) for name, _ in pairs],
        lambda headers: pickle.loads(pickle.dumps(headers)),
        lambda headers: headers.update({"X": "y"}),
        lambda headers: headers.clear(),
        lambda headers: [headers.pop(name) for name in list(headers)[:1] if len(pairs) == 1],
    ):
        one, other = Headers(pairs), Headers._from_block(block, None)
        one._compact()
        for headers in (one, other):
            assert use(headers) == use(Headers(pairs))
            headers._compact()
        changed = Headers(pairs)
        use(changed)
        assert one == other == changed
        assert items(one) == items(other) == items(changed)


def test_a_block_keeps_nothing_else() -> None:
    headers = Headers(TWICE)
    headers.serialize()
    headers._compact()
    assert (headers._items, headers._index) == (None, None)
    assert items(headers) == TWICE
    headers["A"] = "1"
    headers._compact()
    assert items(headers) == [*TWICE, ("A", "1")]


def test_values_that_are_not_str_are_kept_as_they_are() -> None:
    headers: Any = Headers({"Length": 5})
    headers.serialize()
    headers._compact()
    assert headers["Length"] == 5


def test_replacing() -> None:
    headers = Headers(TWICE)
    headers._replace("Set-COOKIE", "c")
    headers._replace("Other", "d")
    assert items(headers) == [("Server", "x"), ("Set-COOKIE", "c"), ("Other", "d")]


@given(
    st.lists(st.tuples(NAMES, st.sampled_from(["1", "a b"]))),
    st.tuples(st.one_of(NAMES, st.sampled_from(["", "é", "a b"])), VALUES),
)
def test_replacing_in_a_block_is_as_in_a_list(
    pairs: list[tuple[str, str]], added: tuple[str, str]
) -> None:
    def outcome(headers: Headers) -> Any:
        try:
            headers._replace(*added)
        except InvalidHeaderValue as exc:
            return str(exc)
        try:
            return items(headers), headers.get_all(added[0]), headers.serialize()
        except ValueError as exc:
            return str(exc)

    assert outcome(Headers._from_block(Headers(pairs).serialize(), None)) == outcome(Headers(pairs))
