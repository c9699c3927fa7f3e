"""Who is attacked: ropeway's front ends on both builds, and its peers."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field

SERVERS = "tests.attacks.servers"


@dataclass(frozen=True)
class Subject:
    """A server program, and how it is started."""

    name: str
    front_end: str
    program: str
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    needs: str | None = None
    """A package without which it does not run."""
    is_peer: bool = False

    def runs(self) -> bool:
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


def _own(front_end: str, pure: bool) -> Subject:
    program = {"threads": "sync_", "trio": "trio_"}.get(front_end, "asyncio_")
    return Subject(
        f"{front_end} (pure)" if pure else front_end,
        front_end,
        f"{SERVERS}.{program}",
        ("--loop", front_end),
        {"ROPEWAY_PURE": "1" if pure else "0"},
        front_end if front_end in ("uvloop", "trio") else None,
    )


def _peer(name: str) -> Subject:
    return Subject(name, name, f"{SERVERS}.peer", (name,), needs=name, is_peer=True)


FRONT_ENDS = ("asyncio", "uvloop", "threads", "trio")
OWN = [_own(front_end, pure) for pure in (False, True) for front_end in FRONT_ENDS]
PEERS = [_peer(name) for name in ("websockets", "aiohttp", "picows")]
SUBJECTS = {subject.name: subject for subject in (*OWN, *PEERS)}
