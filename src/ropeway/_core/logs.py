"""What a connection logs, and where; nothing is made for what nobody wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..utils import logger_name

if TYPE_CHECKING:
    import weakref

    from ..typing import LoggerLike

# The numbers of the logging package.
DEBUG = 10
INFO = 20


class Logged:
    """Something that logs facts.

    Invariants: ``debug`` says whether they are wanted in detail, from the beginning on. While
    there is a ``_named``, the logger that names it has yet to be made: it takes 450 bytes, and most
    connections never log anything.
    """

    def _log_to(self, logger: LoggerLike) -> None:
        self._logger = logger
        self._named: weakref.ref[object] | None = None
        self.debug: bool = logger.isEnabledFor(DEBUG)

    @property
    def logger(self) -> LoggerLike:
        """Where facts are logged."""
        if self._named is not None:
            named, self._named = self._named(), None
            if named is not None:
                self._logger = _naming(self._logger, named)
        return self._logger

    @logger.setter
    def logger(self, logger: LoggerLike) -> None:
        self._named = None
        self._logger = logger

    def log_for(self, named: weakref.ref[object]) -> None:
        """Name a driver's connection in what is logged, as ``websocket``."""
        self._named = named

    def inform(self, fact: str) -> None:
        """Log what those want to know who operate a server."""
        if self._logger.isEnabledFor(INFO):
            self.logger.info(fact)


# Floors 0 to 2 work without the logging package; it is loaded when a logger is really made.


def _naming(logger: LoggerLike, connection: object) -> LoggerLike:
    import logging
    import weakref

    extra = {"websocket": weakref.proxy(connection)}
    return logging.LoggerAdapter(cast("logging.Logger", logger), extra)


def default_logger(side: str) -> LoggerLike:
    """Give the logger of ``side``, "client" or "server"."""
    import logging

    return logging.getLogger(logger_name(side))
