"""JSON for ``send_json`` and ``recv_json``: orjson where it is installed, else Python's own.

What cannot be JSON raises :exc:`TypeError` in both. They differ where a value can be JSON to one of
them only: orjson also raises :exc:`TypeError` for text that can't be UTF-8 (a lone surrogate), for
a circular reference, for integers above 64 bits and for keys that aren't str. Without it, the first
is a :exc:`UnicodeEncodeError`, from sending, the second a :exc:`ValueError`, and the others are
sent. After any of these exceptions nothing has been sent, and the connection stays open.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..typing import Data

dumps: Callable[[Any], str | bytes]
loads: Callable[[Data], Any]

try:
    import orjson
except ImportError:

    def dumps(value: Any) -> str:
        """Serialise ``value`` without the spaces that a wire has no use for."""
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    loads = json.loads
else:
    dumps = orjson.dumps
    loads = orjson.loads
