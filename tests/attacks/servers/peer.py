"""The server of a peer, as bench/contenders has it: its limits are the peer's defaults."""

from __future__ import annotations

import asyncio
import importlib

from bench.contenders.host import Options

from .asyncio_ import in_loop
from .control import Asked, asked, obey


async def main(given: Asked) -> None:
    module = importlib.import_module(f"bench.contenders.{given.module}_")
    await module.serve(given.listener, Options(given.context, True, given.certificate))
    loop = asyncio.get_running_loop()
    obey({"tasks": in_loop(loop, lambda: len(asyncio.all_tasks()))})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(asked()))
