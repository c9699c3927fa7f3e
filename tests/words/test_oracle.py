"""The words against those of websockets 17.4: same names, signatures, values, texts, results."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import warnings
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ropeway.exceptions import RateLimitExceeded

from .oracle import both, is_17_4, neutral, outcome, translate
from .reading import Source, finish
from .test_exceptions import TEXTS
from .test_frames import STRINGS, WIRE

pytestmark = is_17_4

MODULES = [
    "auth",
    "datastructures",
    "exceptions",
    "frames",
    "headers",
    "http11",
    "typing",
    "uri",
    "utils",
    "version",
]


# Names and signatures.

PUBLIC = [
    (module, name)
    for module in MODULES
    if module != "auth"  # nothing but legacy names
    for name in both(module)[1].__all__
]
OTHER = [
    *(("frames", name) for name in (
        "CONT", "TEXT", "BINARY", "CLOSE", "PING", "PONG", "DATA_OPCODES", "CTRL_OPCODES",
        "CLOSE_CODE_EXPLANATIONS", "EXTERNAL_CLOSE_CODES", "OK_CLOSE_CODES", "BytesLike",
    )),
    *(("http11", name) for name in ("MAX_LINE_LENGTH", "MAX_NUM_HEADERS", "MAX_BODY_SIZE")),
    *(("typing", name) for name in (
        "BytesLike", "ConnectionOption", "DataLike", "ExtensionHeader", "PathLike",
        "UpgradeProtocol",
    )),
    ("utils", "GUID"),
    ("utils", "generate_key"),
    ("datastructures", "SupportsKeysAndGetItem"),
]  # fmt: skip


def parameters(value: Any) -> list[tuple[str, Any, str]]:
    try:
        signature = inspect.signature(value)
    except ValueError:  # written in C
        return []
    return [(p.name, p.kind, neutral(p.default)) for p in signature.parameters.values()]


@pytest.mark.parametrize(("module", "name"), [*PUBLIC, *OTHER])
def test_names(module: str, name: str) -> None:
    ours, theirs = (getattr(package, name) for package in both(module))
    assert type(ours).__name__ == type(theirs).__name__
    if isinstance(theirs, type) and issubclass(theirs, enum.Enum):
        assert [(m.name, m.value) for m in ours] == [(m.name, m.value) for m in theirs]
    elif isinstance(theirs, type):
        assert [base.__name__ for base in ours.__mro__] == [
            base.__name__ for base in theirs.__mro__ if base.__module__ != "typing"
        ] or "Protocol" in str(theirs.__mro__)
        assert parameters(ours) == parameters(theirs)
        for attribute in dir(theirs):
            if attribute.startswith("_") or attribute == "DEFAULT_IS_TEXT":  # not documented
                continue
            our_value, their_value = getattr(ours, attribute), getattr(theirs, attribute)
            kind = type(our_value).__name__.replace("cython_function_or_method", "function")
            assert kind == type(their_value).__name__, attribute
            if callable(their_value):
                assert parameters(our_value) == parameters(their_value), attribute
    elif inspect.isfunction(theirs):
        assert parameters(ours) == parameters(theirs)
    elif module != "version" and name not in ("SERVER", "USER_AGENT"):
        assert neutral(ours) == neutral(theirs)


@pytest.mark.parametrize("module", MODULES[1:])
def test_public_names_are_there(module: str) -> None:
    ours, theirs = both(module)
    assert set(theirs.__all__) <= set(ours.__all__)


@pytest.mark.parametrize(
    ("module", "name"),
    [("frames", "Frame"), ("frames", "Close"), ("http11", "Request"), ("http11", "Response"),
     ("uri", "WebSocketURI")],
)  # fmt: skip
def test_dataclasses(module: str, name: str) -> None:
    ours, theirs = (getattr(package, name) for package in both(module))
    for value in (ours, theirs):
        assert dataclasses.is_dataclass(value)
    assert [(f.name, f.type, f.default) for f in dataclasses.fields(ours)] == [
        (f.name, f.type, f.default) for f in dataclasses.fields(theirs)
    ]
    assert ours.__match_args__ == theirs.__match_args__
    assert repr(ours.__dataclass_params__) == repr(theirs.__dataclass_params__)
    assert (ours.__hash__ is None) == (theirs.__hash__ is None)


# Exceptions.


SHARED = [exc for exc, _ in TEXTS if not isinstance(exc, RateLimitExceeded)]


@pytest.mark.parametrize("exc", SHARED, ids=lambda exc: repr(exc)[:60])
@pytest.mark.filterwarnings("ignore:PayloadTooBig:DeprecationWarning")
def test_exceptions(exc: Any) -> None:
    arguments = map(translate, exc.args)
    if type(exc).__name__ == "TooManyFragments":
        arguments = iter([exc.max_fragments])
    theirs = getattr(both("exceptions")[1], type(exc).__name__)(*arguments)
    assert (str(exc), neutral(exc)) == (str(theirs), neutral(theirs))
    attributes = {name: neutral(value) for name, value in vars(theirs).items()}
    assert attributes.items() <= {k: neutral(v) for k, v in vars(exc).items()}.items()


# Frames.


def frame_of(package: ModuleType, *arguments: Any, **options: Any) -> Any:
    opcode, *rest = arguments
    module: Any = package
    return module.Frame(module.Opcode(opcode), *rest, **options)


def same_string(*arguments: Any, **options: Any) -> None:
    ours, theirs = (frame_of(package, *arguments, **options) for package in both("frames"))
    assert str(ours) == str(theirs)


@pytest.mark.parametrize("frame", [frame for frame, _ in STRINGS], ids=str)
def test_frame_strings_of_the_table(frame: Any) -> None:
    same_string(frame.opcode, frame.data, frame.fin, frame.rsv1, frame.rsv2, frame.rsv3)


# websockets takes text that contains \x for binary data, and four stray continuation bytes, or
# one alone, for the beginning of a character: ropeway shows what there is.
READABLE = st.text(st.characters(exclude_characters="\\"), max_size=60)
OPCODES = st.sampled_from([0, 1, 2, 8, 9, 10])


@given(OPCODES, READABLE, st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_frame_strings_of_text(opcode: int, text: str, start: int, stop: int, fin: bool) -> None:
    data = text.encode(errors="surrogatepass")
    data = data[start : len(data) - stop]
    assume(not (not fin and re.search(rb"[\x80-\xbf]{4}\Z|\A[\x80-\xbf]+\Z", data)))
    same_string(opcode, data, fin)


@given(OPCODES, st.binary(max_size=100), st.booleans())
def test_frame_strings_of_binary_data(opcode: int, data: bytes, fin: bool) -> None:
    assume(b"\\" not in data)
    assume(not (not fin and re.search(rb"[\x80-\xbf]{4}\Z|\A[\x80-\xbf]+\Z", data)))
    same_string(opcode, data, fin)


def parse_frame(package: Any, data: bytes, mask: bool, max_size: int | None) -> str:
    source = Source(data)
    result = outcome(package.Frame.parse, source.read_exact, mask=mask, max_size=max_size)
    return f"{result} {source.rest!r}" if result.startswith("Frame(") else result


def minimal(data: bytes) -> bool:
    """Tell whether the length at the start of a frame is encoded as it must be."""
    form, extended = data[1:2], data[2:10]
    if form in (b"\x7e", b"\xfe"):
        return int.from_bytes(extended[:2], "big") > 125
    if form in (b"\x7f", b"\xff"):
        return 65535 < int.from_bytes(extended, "big") < 2**63
    return True


@pytest.mark.parametrize("byte", range(256))
def test_every_first_byte(byte: int) -> None:
    ours, theirs = both("frames")
    for second in (0, 1, 125, 0x80, 0x81, 0xFD):
        data = bytes([byte, second]) + bytes(range(130))
        for mask in (True, False):
            # A control frame over the limit is a wrong one first.
            for max_size in (None,) if byte & 8 else (None, 1):
                assert parse_frame(ours, data, mask, max_size) == parse_frame(
                    theirs, data, mask, max_size
                )


@given(
    st.binary(max_size=20), st.binary(max_size=300), st.booleans(), st.none() | st.integers(0, 300)
)
def test_parsing_frames(head: bytes, rest: bytes, mask: bool, max_size: int | None) -> None:
    data = head + rest
    assume(minimal(data))
    ours, theirs = (parse_frame(package, data, mask, max_size) for package in both("frames"))
    # A control frame that breaks a rule is refused before its length or payload is read.
    if ours in (
        "ProtocolError: control frame too long",
        "ProtocolError: fragmented control frame",
        "ProtocolError: reserved bits must be 0",
    ):
        assert not theirs.startswith("Frame(")
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "frame", [frame for frame, _, _ in WIRE], ids=lambda frame: str(frame)[:40]
)
def test_serializing_frames(frame: Any) -> None:
    theirs = translate(frame)
    assert frame.serialize(mask=False) == theirs.serialize(mask=False)
    data = frame.serialize(mask=True)
    parsed = finish(type(theirs).parse(Source(data).read_exact, mask=True))
    assert parsed == theirs


@given(st.integers(-1, 70000), st.text(max_size=5))
def test_closes(code: int, reason: str) -> None:
    for method in ("__str__", "check", "serialize"):
        ours, theirs = (
            outcome(getattr(package.Close(code, reason), method)) for package in both("frames")
        )
        assert ours == theirs


@given(st.binary(max_size=10))
def test_parsing_closes(data: bytes) -> None:
    ours, theirs = (outcome(package.Close.parse, data) for package in both("frames"))
    assert ours == theirs


# The rest.


@given(st.binary(), st.binary(max_size=5))
def test_apply_mask(data: bytes, mask: bytes) -> None:
    ours, theirs = (outcome(package.apply_mask, data, mask) for package in both("utils"))
    assert ours == theirs


@given(st.text(st.characters(codec="utf-8")))
def test_accept_key(key: str) -> None:
    ours, theirs = (package.accept_key(key) for package in both("utils"))
    assert ours == theirs


def test_deprecations_say_the_same() -> None:
    texts = []
    for frames, http11, structures, exceptions in zip(
        both("frames"), both("http11"), both("datastructures"), both("exceptions"), strict=True
    ):
        close = frames.Close(1001, "bye")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            exc = exceptions.ConnectionClosed(close, close, True)
            values = [
                exc.code,
                exc.reason,
                http11.Request("/", structures.Headers()).exception,
                http11.Response(200, "", structures.Headers()).exception,
                str(exceptions.PayloadTooBig("far too big")),
            ]
        texts.append([values, [(w.category, str(w.message)) for w in caught]])
    assert texts[0] == texts[1]
    assert len(texts[0][1]) == 5
