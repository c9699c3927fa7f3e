"""JSON for ``send_json`` and ``recv_json``: orjson where it is installed, else Python's own."""

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
