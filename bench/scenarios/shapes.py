"""The traffic of scenarios 1 to 5, which 6 has from the other side."""

from __future__ import annotations

from dataclasses import dataclass

from ..payloads import BINARY, TEXT, payload_file

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Shape:
    """Connections, messages in flight on each, and what a message is."""

    name: str
    title: str
    connections: int = 1
    depth: int = 1
    size: int = 32
    kind: str = "short"
    quick: bool = True
    """Whether quick runs have the server's side."""
    quick_client: bool = True
    """Whether quick runs have the client's side."""
    longer: float = 1
    """By how much the clock runs longer: where the division into user and system counts."""

    def options(self) -> dict[str, object]:
        """Return the options of the load generator, and of the clients."""
        return {
            "connections": self.connections,
            "depth": self.depth,
            "size": self.size,
            "opcode": BINARY if self.kind == "binary" else TEXT,
            "payloads": payload_file(self.kind, self.size, self.depth),
        }


def large() -> list[Shape]:
    kinds = {"binary": "binary", "ascii": "ASCII text", "mixed": "mixed-language text"}
    shapes = [
        Shape(f"5-{label}-{kind}", f"{words} of {label}, 1 in flight", size=size, kind=kind)
        for label, size in (("64KiB", 64 * KIB), ("1MiB", MIB))
        for kind, words in kinds.items()
    ]
    return [
        Shape(**{**vars(shape), "quick_client": shape.name in ("5-64KiB-mixed", "5-1MiB-binary")})
        for shape in shapes
    ] + [
        Shape(
            f"5-64KiB-{kind}-x8",
            f"{words} of 64 KiB, 8 in flight",
            depth=8,
            size=64 * KIB,
            kind=kind,
            quick=False,
            quick_client=False,
        )
        for kind, words in kinds.items()
    ]


SHAPES = [
    Shape("1", "32 B, 1 connection, 1 in flight", longer=3),
    Shape("2", "32 B, 1 connection, 64 in flight", depth=64),
    Shape("3", "32 B, 64 connections, 1 in flight each", connections=64, longer=3),
    Shape("4", "4 KiB, 4 connections, 16 in flight each", connections=4, depth=16, size=4 * KIB),
    *large(),
]
