"""Where a connection's logger comes from when the caller gives none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..utils import logger_name

if TYPE_CHECKING:
    from ..typing import LoggerLike

DEBUG = 10


def default_logger(side: str) -> LoggerLike:
    """Give the logger of ``side``, "client" or "server"."""
    # Floors 0 to 2 work without the logging package; it is loaded when a logger is really made.
    import logging

    return logging.getLogger(logger_name(side))
