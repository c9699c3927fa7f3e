"""HTTP headers as a case-insensitive dictionary that may hold a name more than once.

The room knows which characters may stand in a header, so that nothing that would end a header early
reaches the wire; it doesn't know what any header means (that is :mod:`ropeway.headers`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol, TypeVar, cast, overload

from .exceptions import InvalidHeaderValue

__all__ = ["Headers", "HeadersLike", "MultipleValuesError"]

T = TypeVar("T")

# RFC 9110, 5.5: visible characters, spaces, tabs and obs-text; no CR, LF, NUL, no other control.
is_text: Callable[[str], re.Match[str] | None] = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
# RFC 9110, 5.6.2: a token.
is_token: Callable[[str], re.Match[str] | None] = re.compile(
    r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
).fullmatch


# The same as alphabets, for bytes.translate.
TEXT_ALPHABET = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
TOKEN_ALPHABET = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def is_plain(value: object) -> bool:
    """Tell whether a header's value is the same in a block as in a list: ASCII, stripped, a str."""
    if type(value) is not str or not value.isascii() or not value.isprintable():
        return False
    return value != "" and value == value.strip()


class MultipleValuesError(LookupError):
    """Raised when a header is asked for by name and it has several values."""

    def __str__(self) -> str:
        # As KeyError does: a lone argument is shown with its quotes.
        if len(self.args) == 1:
            return repr(self.args[0])
        return super().__str__()


class _Several(list[str]):
    """The values of a header that is there more than once."""

    __slots__ = ()


def _add(index: dict[str, str | _Several], lower: str, value: str) -> None:
    """Add a header to an index."""
    if lower not in index:
        index[lower] = value
        return
    known = index[lower]
    if type(known) is _Several:
        known.append(value)
    else:
        index[lower] = _Several((cast(str, known), value))


@functools.lru_cache(maxsize=64)
def _line(key: str, value: str) -> bytes | None:
    """Write a header and the end of a block; None where that isn't the same as adding to a list."""
    # Kept, since a server's responses differ in one header only.
    if not (is_plain(value) and is_token(key)):
        return None
    return f"{key}: {value}\r\n\r\n".encode()


class Headers(MutableMapping[str, str]):
    """HTTP headers, in the order in which they were added.

    Looking up ``headers[name]`` ignores case and expects at most one value. Setting
    ``headers[name] = value`` *adds* a value; delete the name first to replace it. Iterating gives
    each name once, in lower case; :meth:`raw_items` gives everything as it was added.

    Two objects are equal when they have the same values, in the same order, for each name.

    Args:
        args: initial headers: another :class:`Headers`, a mapping, or pairs of name and value.
        kwargs: more headers.

    Raises:
        InvalidHeaderValue: when a value contains a character that can't be sent.
    """

    # The same headers in three forms, of which those that are missing are made when they are asked
    # for: a connection keeps its handshake's headers as the bytes of its _block, at a tenth of the
    # size. _items is what was added. _index finds a value by the name in lower case, or _Several
    # values. _block is what serialize() gives, where that is known, and stands alone only where
    # every name is a token and every value a str. _items or _block is always there.
    __slots__ = ("_block", "_index", "_items")

    _block: bytes | None
    _index: dict[str, str | _Several] | None
    _items: list[tuple[str, str]] | None

    def __init__(self, *args: HeadersLike, **kwargs: str) -> None:
        self._block = None
        self._index = None
        self._items = []
        if args or kwargs:
            self.update(*args, **kwargs)

    @classmethod
    def _from_items(cls, items: list[tuple[str, str]]) -> Headers:
        """Take over a list of headers of which every character has been checked."""
        self = cls.__new__(cls)
        self._block = None
        self._index = None
        self._items = items
        return self

    @classmethod
    def _from_block(cls, block: bytes, index: dict[str, Any] | None) -> Headers:
        """Take over a block that serialize() would give, and its index."""
        self = cls.__new__(cls)
        self._block = block
        self._index = index
        self._items = None
        return self

    def _list(self) -> list[tuple[str, str]]:
        """Return what was added, from the block where need be."""
        items = self._items
        if items is None:
            assert self._block is not None
            items = self._items = []
            for line in self._block.decode("iso-8859-1").split("\r\n")[:-2]:
                name, _, value = line.partition(": ")
                items.append((name, value))
        return items

    def _dict(self) -> dict[str, str | _Several]:
        """Return the index, made where need be."""
        index = self._index
        if index is None:
            index = self._index = {}
            for name, value in self._list():
                _add(index, name.lower(), value)
        return index

    def _only(self, lower: str) -> str | None:
        """Return the value of a header, given in lower case, where there is exactly one."""
        value = self._dict().get(lower)
        return None if type(value) is _Several else cast(str, value)

    def _compact(self) -> None:
        """Keep the smallest form alone."""
        self._index = None
        if self._block is not None:
            self._items = None

    def __str__(self) -> str:
        return "".join([f"{name}: {value}\r\n" for name, value in self._list()]) + "\r\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._list()!r})"

    def copy(self) -> Headers:
        """Return a copy that shares nothing that can change."""
        return self._from_items(self._list().copy())

    __copy__ = copy

    def __reduce__(self) -> tuple[Any, ...]:
        # The other forms are made anew; subclasses may have attributes.
        return self._from_items, (self._list(),), getattr(self, "__dict__", None) or None

    def serialize(self) -> bytes:
        """Write the headers and the blank line that ends them (RFC 9112, 5).

        Returns:
            The bytes for the wire, in ISO-8859-1.

        Raises:
            ValueError: when a name isn't a token.
            InvalidHeaderValue: when a value contains a character that can't be sent.
        """
        if self._block is not None:
            return self._block
        items = self._list()
        try:
            data = str(self).encode("iso-8859-1")
        except UnicodeEncodeError:
            data = b""
        # What may stand in headers is removed, which is several times faster than matching each;
        # a sound block leaves its line ends.
        names = [name for name, _ in items]
        if (
            "".join(names).encode(errors="replace").translate(None, TOKEN_ALPHABET)
            or data.translate(None, TEXT_ALPHABET) != b"\r\n" * (len(items) + 1)
            or "" in names
        ):
            self._check()
        for _, value in items:
            if type(value) is not str:
                break  # the block doesn't tell what it was
        else:
            self._block = data
        return data

    def _check(self) -> None:
        """Raise what is wrong with the first header that can't be sent, if there is one."""
        for name, value in self._list():
            if not is_token(name):
                raise ValueError(f"invalid HTTP header name: {name!r}")
            if not is_text(value if isinstance(value, str) else str(value)):
                raise InvalidHeaderValue(name, str(value))

    # Mapping.

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._dict()

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict())

    def __len__(self) -> int:
        return len(self._dict())

    def __getitem__(self, key: str) -> str:
        value = self._dict()[key.lower()]
        if type(value) is _Several:
            raise MultipleValuesError(key)
        return cast(str, value)

    @overload
    def get(self, key: str, default: None = None) -> str | None: ...
    @overload
    def get(self, key: str, default: str) -> str: ...
    @overload
    def get(self, key: str, default: T) -> str | T: ...
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a header.

        Args:
            key: the name, in any case.
            default: what to return when there is no such header.

        Raises:
            MultipleValuesError: when there are several values.
        """
        # The inherited method costs an exception for each header that is absent.
        value = self._dict().get(key.lower(), default)
        if type(value) is _Several:
            raise MultipleValuesError(key)
        return value

    def __setitem__(self, key: str, value: str) -> None:
        if not is_text(value if isinstance(value, str) else str(value)):
            raise InvalidHeaderValue(key, str(value))
        self.set_insecure(key, value)

    def __delitem__(self, key: str) -> None:
        lower = key.lower()
        del self._dict()[lower]
        self._items = [item for item in self._list() if item[0].lower() != lower]
        self._block = None

    def _append(self, key: str, value: str) -> None:
        """Add a header; to the block alone where that will do, since it costs less."""
        line = None if self._block is None or type(value) is not str else _line(key, value)
        if line is None:
            self[key] = value
            return
        assert self._block is not None
        self._block = self._block[:-2] + line
        self._index = self._items = None

    def _replace(self, key: str, value: str) -> None:
        """Set a header whether it is there or not."""
        lower = key.lower()
        if self._block is None or f"\r\n{lower}: ".encode() in b"\r\n" + self._block.lower():
            for name, _ in self._list():
                if name.lower() == lower:
                    del self[key]
                    break
        self._append(key, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._dict() == other._dict()

    # Equal objects may come to differ: they can't be keys.
    __hash__ = None  # type: ignore[assignment]

    def clear(self) -> None:
        """Remove every header."""
        self._block = None
        self._index = None
        self._items = []

    def update(self, *args: HeadersLike, **kwargs: str) -> None:
        """Add headers to those that are there.

        Args:
            args: at most one: another :class:`Headers`, a mapping, or pairs of name and value.
            kwargs: more headers.

        Raises:
            TypeError: when there is more than one positional argument.
            InvalidHeaderValue: when a value contains a character that can't be sent.
        """
        if len(args) > 1:
            raise TypeError(f"expected at most 1 positional argument, got {len(args)}")
        for source in (*args, kwargs):
            for key, value in _pairs(source):
                self[key] = value

    # Several values for a name.

    def get_all(self, key: str) -> list[str]:
        """Return all values of a header, in order; an empty list when there are none.

        Args:
            key: the name, in any case.
        """
        index = self._dict()
        lower = key.lower()
        if lower not in index:
            return []
        value = index[lower]
        return list(value) if type(value) is _Several else [cast(str, value)]

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Return all names, spelled as they were added, with their values, in order."""
        return iter(self._list())

    def set_insecure(self, key: str, value: str) -> None:
        """Add a header without checking its value; :meth:`serialize` checks all the same.

        Args:
            key: the name.
            value: the value.
        """
        lower = key.lower()
        self._list().append((key, value))
        self._block = None
        if self._index is not None:
            _add(self._index, lower, value)


class SupportsKeysAndGetItem(Protocol):
    """Anything that :class:`dict` accepts as a source of pairs."""

    def keys(self) -> Iterable[str]: ...

    def __getitem__(self, key: str, /) -> str: ...


HeadersLike = Headers | Mapping[str, str] | Iterable[tuple[str, str]] | SupportsKeysAndGetItem
"""What is accepted where headers are expected."""


def _pairs(source: Any) -> Iterable[tuple[str, str]]:
    """Return the names and values of what is HeadersLike."""
    if isinstance(source, Headers):
        # A list of its own: ``headers.update(headers)`` must come to an end.
        return source._list().copy()
    if isinstance(source, Mapping):
        return source.items()
    if hasattr(source, "keys"):
        return [(key, source[key]) for key in source.keys()]  # noqa: SIM118
    pairs: Iterable[tuple[str, str]] = source
    return pairs
