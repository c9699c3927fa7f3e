"""The permessage-deflate extension (RFC 7692)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal

from ..exceptions import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
    ProtocolError,
)
from ..frames import CTRL_OPCODES, Frame, Opcode
from ..typing import BytesLike, ExtensionName, ExtensionParameter
from ._backends import DEFAULT_SETTINGS, backend
from ._contexts import NO_LIMIT, Deflater, Inflater
from .base import ClientExtensionFactory, Extension, ServerExtensionFactory

__all__ = [
    "ClientPerMessageDeflateFactory",
    "PerMessageDeflate",
    "ServerPerMessageDeflateFactory",
    "enable_client_permessage_deflate",
    "enable_server_permessage_deflate",
]

NAME = ExtensionName("permessage-deflate")

LARGEST_WINDOW_BITS = 15

DEFAULT_WINDOW_BITS = 12


class PerMessageDeflate(Extension):
    """Compresses messages; negotiated by the factories below.

    Contexts are made when they are first needed, since many connections never compress, and given
    back when they are idle.
    """

    name = NAME

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: dict[Any, Any] | None = None,
        threshold: int = 0,
    ) -> None:
        """Configure one connection's compression.

        Args:
            remote_no_context_takeover: the peer starts each message with an empty window.
            local_no_context_takeover: we start each message with an empty window.
            remote_max_window_bits: size of the peer's window, 8 to 15 bits.
            local_max_window_bits: size of our window, 9 to 15 bits; zlib makes no raw window of 8.
            compress_settings: more arguments for :func:`zlib.compressobj`, without ``wbits``.
            threshold: messages of fewer bytes than this are sent uncompressed.

        Raises:
            ValueError: when a window size or setting is out of range.

        """
        if not 8 <= remote_max_window_bits <= LARGEST_WINDOW_BITS:
            raise ValueError(
                f"remote_max_window_bits must be between 8 and 15: {remote_max_window_bits}"
            )
        if not 9 <= local_max_window_bits <= LARGEST_WINDOW_BITS:
            raise ValueError(
                f"local_max_window_bits must be between 9 and 15: {local_max_window_bits}"
            )
        if compress_settings is not None and "wbits" in compress_settings:
            raise ValueError("compress_settings must not include wbits")
        self.remote_no_context_takeover = remote_no_context_takeover
        self.local_no_context_takeover = local_no_context_takeover
        self.remote_max_window_bits = remote_max_window_bits
        self.local_max_window_bits = local_max_window_bits
        self.compress_settings: dict[Any, Any] = (
            {} if compress_settings is None else compress_settings
        )
        # What was asked for the next message: True, False, or None for the threshold's choice.
        self.compress: bool | None = None
        using = backend()
        self.inflater: Inflater = Inflater(
            using, remote_max_window_bits, remote_no_context_takeover
        )
        self.deflater: Deflater = Deflater(
            using,
            local_max_window_bits,
            local_no_context_takeover,
            self.compress_settings,
            threshold,
        )
        # Whether the fragments that follow belong to a compressed message.
        self._inflating_message = False
        self._deflating_message = False

    def __repr__(self) -> str:
        return (
            f"PerMessageDeflate("
            f"remote_no_context_takeover={self.remote_no_context_takeover}, "
            f"local_no_context_takeover={self.local_no_context_takeover}, "
            f"remote_max_window_bits={self.remote_max_window_bits}, "
            f"local_max_window_bits={self.local_max_window_bits})"
        )

    @property
    def threshold(self) -> int:
        """Messages of fewer bytes than this are sent uncompressed."""
        return self.deflater.threshold

    # As a stream of payload pieces: the engine's path.

    def start_inflating(self) -> None:
        """Begin a compressed message."""
        self.inflater.start()

    def inflate(self, piece: BytesLike, room: int, last: bool) -> bytes:
        """Inflate the next piece of a message; see ``Inflater.inflate``."""
        return self.inflater.inflate(piece, room, last)

    def deflate(self, payload: BytesLike, first: bool, last: bool) -> bytes:
        """Compress a fragment of a message; see ``Deflater.deflate``."""
        return self.deflater.deflate(payload, first, last)

    def rest(self) -> bool:
        """Give back the memory of what wasn't used since the last call.

        Returns:
            Whether there is more to give back, by another call.

        """
        inflating = self.inflater.rest()
        return self.deflater.rest() or inflating

    # As whole frames: the interface that all extensions share.

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Decompress a frame; see :meth:`Extension.decode`."""
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.opcode is Opcode.CONT:
            if not self._inflating_message:
                return frame
            if frame.rsv1:
                raise ProtocolError("RSV1 bit set in continuation frame")
        elif frame.rsv1:
            self.start_inflating()
        else:
            return frame
        self._inflating_message = not frame.fin
        data = self.inflate(frame.data, NO_LIMIT if max_size is None else max_size, frame.fin)
        return dataclasses.replace(frame, data=data, rsv1=False)

    def encode(self, frame: Frame) -> Frame:
        """Compress a frame; see :meth:`Extension.encode`."""
        if frame.opcode in CTRL_OPCODES:
            return frame
        first = frame.opcode is not Opcode.CONT
        if first:
            self._deflating_message = (
                not frame.fin or self.deflater.is_worthwhile(frame.data)
                if self.compress is None
                else self.compress
            )
        if not self._deflating_message:
            return frame
        data = self.deflate(frame.data, first, frame.fin)
        return dataclasses.replace(frame, data=data, rsv1=first)


@dataclasses.dataclass(frozen=True, slots=True)
class _Parameters:
    """The four parameters of section 7.1, of an offer or of an answer."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | Literal[True] | None = None

    def build(self) -> list[ExtensionParameter]:
        switches = ("server_no_context_takeover", "client_no_context_takeover")
        built: list[ExtensionParameter] = [(name, None) for name in switches if getattr(self, name)]
        for name in ("server_max_window_bits", "client_max_window_bits"):
            bits = getattr(self, name)
            if bits is not None:
                built.append((name, None if bits is True else str(bits)))
        return built

    @classmethod
    def parse(cls, params: Sequence[ExtensionParameter], *, offer: bool) -> _Parameters:
        """Check names, values, duplicates; only an offer may leave out a size (7.1.2.2)."""
        parsed: dict[str, Any] = {}
        for name, value in params:
            if name not in cls.__dataclass_fields__:
                raise InvalidParameterName(name)
            if name in parsed:
                raise DuplicateParameter(name)
            if name.endswith("no_context_takeover"):
                if value is not None:
                    raise InvalidParameterValue(name, value)
                parsed[name] = True
            elif value in WINDOW_BITS:
                parsed[name] = int(value)
            elif value is None and offer and name == "client_max_window_bits":
                parsed[name] = True
            else:
                raise InvalidParameterValue(name, value)
        return cls(**parsed)


# 7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15".
WINDOW_BITS = tuple(str(bits) for bits in range(8, 16))


def _check_window_bits(name: str, bits: int | None, least: int) -> None:
    if bits is not None and not least <= bits <= LARGEST_WINDOW_BITS:
        raise ValueError(f"{name} must be between {least} and 15: {bits}")


def _check_settings(settings: dict[str, Any] | None, instead: str) -> None:
    if settings is not None and "wbits" in settings:
        raise ValueError(f"compress_settings must not include wbits, set {instead} instead")


class ClientPerMessageDeflateFactory(ClientExtensionFactory):
    """Offers permessage-deflate to a server (RFC 7692 section 7.1)."""

    name = NAME

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | Literal[True] | None = True,
        compress_settings: dict[str, Any] | None = None,
        threshold: int = 0,
    ) -> None:
        """Configure the offer.

        Args:
            server_no_context_takeover: ask that the server start each message afresh.
            client_no_context_takeover: say that we start each message afresh.
            server_max_window_bits: ask for a window of at most this many bits, 8 to 15.
            client_max_window_bits: our own window, 9 to 15 bits; True lets the server choose.
            compress_settings: more arguments for :func:`zlib.compressobj`, without ``wbits``.
            threshold: messages of fewer bytes than this are sent uncompressed.

        Raises:
            ImportError: when ROPEWAY_DEFLATE names a library that isn't installed.
            ValueError: when a value is out of range, or ROPEWAY_DEFLATE has an unknown one.

        """
        _check_window_bits("server_max_window_bits", server_max_window_bits, 8)
        if client_max_window_bits is not True:
            _check_window_bits("client_max_window_bits", client_max_window_bits, 9)
        _check_settings(compress_settings, "client_max_window_bits")
        backend()  # so that one that can't be had is reported now
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = compress_settings
        self.threshold = threshold

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Give the parameters to offer; see :class:`ClientExtensionFactory`."""
        return _Parameters(
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        ).build()

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> PerMessageDeflate:
        """Check the server's answer; see :class:`ClientExtensionFactory`."""
        if any(other.name == self.name for other in accepted_extensions):
            raise NegotiationError(f"received duplicate {self.name}")
        answer = _Parameters.parse(params, offer=False)

        # 7.1.1.1 and 7.1.2.1: a server that accepts an offer with these must answer with them.
        if self.server_no_context_takeover and not answer.server_no_context_takeover:
            raise NegotiationError("expected server_no_context_takeover")
        if self.server_max_window_bits is not None:
            if answer.server_max_window_bits is None:
                raise NegotiationError("expected server_max_window_bits")
            if answer.server_max_window_bits > self.server_max_window_bits:
                raise NegotiationError("unsupported server_max_window_bits")

        # 7.1.2.2: the answer may have client_max_window_bits only where the offer had it.
        ours = self.client_max_window_bits
        theirs = answer.client_max_window_bits
        if ours is None and theirs is not None:
            raise NegotiationError("unexpected client_max_window_bits")
        if theirs is None:
            local_bits = LARGEST_WINDOW_BITS if ours is None or ours is True else ours
        else:
            if ours is not True and ours is not None and theirs > ours:
                raise NegotiationError("unsupported client_max_window_bits")
            local_bits = theirs
        if local_bits == 8:
            raise NegotiationError("unsupported client_max_window_bits = 8, use 9")

        return PerMessageDeflate(
            remote_no_context_takeover=answer.server_no_context_takeover,
            local_no_context_takeover=(
                self.client_no_context_takeover or answer.client_no_context_takeover
            ),
            remote_max_window_bits=answer.server_max_window_bits or LARGEST_WINDOW_BITS,
            local_max_window_bits=local_bits,
            compress_settings=self.compress_settings,
            threshold=self.threshold,
        )


class ServerPerMessageDeflateFactory(ServerExtensionFactory):
    """Answers offers of permessage-deflate (RFC 7692 section 7.1)."""

    name = NAME

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | None = None,
        compress_settings: dict[str, Any] | None = None,
        require_client_max_window_bits: bool = False,
        threshold: int = 0,
    ) -> None:
        """Configure the answer.

        Args:
            server_no_context_takeover: we start each message afresh.
            client_no_context_takeover: demand that clients start each message afresh.
            server_max_window_bits: our own window, 9 to 15 bits.
            client_max_window_bits: largest window of clients that let us choose, 8 to 15 bits.
            compress_settings: more arguments for :func:`zlib.compressobj`, without ``wbits``.
            require_client_max_window_bits: decline offers without ``client_max_window_bits``.
            threshold: messages of fewer bytes than this are sent uncompressed.

        Raises:
            ImportError: when ROPEWAY_DEFLATE names a library that isn't installed.
            ValueError: when a value is out of range, or required but not configured, or
                ROPEWAY_DEFLATE has an unknown one.

        """
        _check_window_bits("server_max_window_bits", server_max_window_bits, 9)
        _check_window_bits("client_max_window_bits", client_max_window_bits, 8)
        _check_settings(compress_settings, "server_max_window_bits")
        backend()  # so that one that can't be had is reported now
        if require_client_max_window_bits and client_max_window_bits is None:
            raise ValueError(
                "require_client_max_window_bits is enabled, "
                "but client_max_window_bits isn't configured"
            )
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = compress_settings
        self.require_client_max_window_bits = require_client_max_window_bits
        self.threshold = threshold

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Answer a client's offer; see :class:`ServerExtensionFactory`."""
        if any(other.name == self.name for other in accepted_extensions):
            raise NegotiationError(f"skipped duplicate {self.name}")
        answer, built = _answer(
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
            self.require_client_max_window_bits,
            tuple(params),
        )
        return list(built), PerMessageDeflate(
            remote_no_context_takeover=answer.client_no_context_takeover,
            local_no_context_takeover=answer.server_no_context_takeover,
            remote_max_window_bits=answer.client_max_window_bits or LARGEST_WINDOW_BITS,
            local_max_window_bits=answer.server_max_window_bits or LARGEST_WINDOW_BITS,
            compress_settings=self.compress_settings,
            threshold=self.threshold,
        )


# Clients of a kind offer the same every time, and few offers are valid.
@functools.lru_cache(maxsize=64)
def _answer(
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: int | None,
    client_max_window_bits: int | None,
    require_client_max_window_bits: bool,
    params: tuple[ExtensionParameter, ...],
) -> tuple[_Parameters, tuple[ExtensionParameter, ...]]:
    """Answer an offer, given a factory's settings; gives the answer also as it is sent."""
    offer = _Parameters.parse(params, offer=True)

    server_bits = _smaller(server_max_window_bits, offer.server_max_window_bits)
    if server_bits == 8:
        raise NegotiationError("unsupported server_max_window_bits = 8, use 9")

    client_bits: int | None
    if offer.client_max_window_bits is None:
        # 7.1.2.2: without it in the offer, the client doesn't take a limit.
        if require_client_max_window_bits:
            raise NegotiationError("required client_max_window_bits")
        client_bits = None
    elif offer.client_max_window_bits is True:
        client_bits = client_max_window_bits
    else:
        client_bits = _smaller(client_max_window_bits, offer.client_max_window_bits)

    answer = _Parameters(
        server_no_context_takeover or offer.server_no_context_takeover,
        client_no_context_takeover or offer.client_no_context_takeover,
        server_bits,
        client_bits,
    )
    return answer, tuple(answer.build())


def _smaller(ours: int | None, theirs: int | None) -> int | None:
    sizes = [bits for bits in (ours, theirs) if bits is not None]
    return min(sizes) if sizes else None


def enable_client_permessage_deflate(
    extensions: Sequence[ClientExtensionFactory] | None,
    threshold: int = 0,
) -> Sequence[ClientExtensionFactory]:
    """Add permessage-deflate with default settings, unless it is there with others.

    Args:
        extensions: factories that the caller configured, if any.
        threshold: messages of fewer bytes than this are sent uncompressed.

    """
    factories = list(extensions or ())
    if not any(factory.name == NAME for factory in factories):
        factories.append(
            ClientPerMessageDeflateFactory(
                compress_settings=dict(DEFAULT_SETTINGS), threshold=threshold
            )
        )
    return factories


def enable_server_permessage_deflate(
    extensions: Sequence[ServerExtensionFactory] | None,
    threshold: int = 0,
) -> Sequence[ServerExtensionFactory]:
    """Add permessage-deflate with default settings, unless it is there with others.

    Args:
        extensions: factories that the caller configured, if any.
        threshold: messages of fewer bytes than this are sent uncompressed.

    """
    factories = list(extensions or ())
    if not any(factory.name == NAME for factory in factories):
        factories.append(
            ServerPerMessageDeflateFactory(
                server_max_window_bits=DEFAULT_WINDOW_BITS,
                client_max_window_bits=DEFAULT_WINDOW_BITS,
                compress_settings=dict(DEFAULT_SETTINGS),
                threshold=threshold,
            )
        )
    return factories
