"""The interface that extensions implement (RFC 6455 section 9)."""

from __future__ import annotations

from collections.abc import Sequence

from ..frames import Frame
from ..typing import ExtensionName, ExtensionParameter

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]


class Extension:
    """A negotiated extension, which may rewrite every frame of one connection.

    Attributes:
        name: token that names the extension in the handshake.

    """

    name: ExtensionName

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Turn a frame from the wire into what the next layer sees.

        Args:
            frame: incoming frame, whole and unmasked.
            max_size: most bytes that the decoded payload may have; None for no limit.

        Returns:
            The decoded frame; reserved bits that the extension claims must be cleared.

        Raises:
            PayloadTooBig: when the decoded payload would be over ``max_size``.
            ProtocolError: when the frame breaks the extension's rules.

        """
        raise NotImplementedError

    def encode(self, frame: Frame) -> Frame:
        """Turn a frame that is to be sent into what goes on the wire.

        Args:
            frame: outgoing frame, before masking.

        Returns:
            The encoded frame.

        """
        raise NotImplementedError


class ClientExtensionFactory:
    """Offers an extension in a client's handshake and accepts the server's answer.

    Attributes:
        name: token that names the extension in the handshake.

    """

    name: ExtensionName

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Give the parameters to offer.

        Returns:
            ``(name, value)`` pairs; a value of None stands for a parameter without one.

        """
        raise NotImplementedError

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> Extension:
        """Check the parameters that the server chose and make the extension.

        Args:
            params: parameters from the server's response.
            accepted_extensions: extensions that were accepted before this one.

        Returns:
            The extension, configured.

        Raises:
            NegotiationError: when the parameters can't be accepted.

        """
        raise NotImplementedError


class ServerExtensionFactory:
    """Answers a client's offer of an extension.

    Attributes:
        name: token that names the extension in the handshake.

    """

    name: ExtensionName

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], Extension]:
        """Check the parameters that the client offers and make the extension.

        Args:
            params: parameters from the client's request.
            accepted_extensions: extensions that were accepted before this one.

        Returns:
            The parameters to answer with, and the extension, configured.

        Raises:
            NegotiationError: when the offer must be declined.

        """
        raise NotImplementedError
