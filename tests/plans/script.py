"""Plays a plan against answers that were written down beforehand: no loop, no socket, no clock."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Played:
    """How a plan went: the steps that it took, and how it ended."""

    steps: list[Any] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None

    @property
    def kinds(self) -> list[str]:
        return [type(step).__name__ for step in self.steps]

    def sent(self) -> bytes:
        """All that the plan wrote to its stream."""
        return b"".join(step.data for step in self.steps if type(step).__name__ == "Send")


def play(plan: Generator[Any, Any, Any], *answers: Any) -> Played:
    """Answer one step after the other: an exception is thrown, anything else is sent.

    ``Send``, ``Discard`` and steps that open a stream are answered with None by themselves
    unless the next answer is an exception for them: ``Fail(kind of step, exception)``.
    """
    played, waiting = Played(), list(answers)
    answer: Any = None
    try:
        while True:
            if isinstance(answer, BaseException):
                step = plan.throw(answer)
            else:
                step = plan.send(answer)
            played.steps.append(step)
            answer = _answer(step, waiting)
    except StopIteration as stop:
        played.result = stop.value
    except BaseException as exc:
        played.error = exc
    assert not waiting, f"answers that nothing asked for: {waiting}"
    return played


@dataclass
class Fail:
    """An exception for the next step of a kind that otherwise succeeds by itself."""

    kind: str
    exc: BaseException


ASKING = ("Handshake", "Receive", "Call")


def _answer(step: Any, waiting: list[Any]) -> Any:
    kind = type(step).__name__
    if waiting and isinstance(waiting[0], Fail):
        if waiting[0].kind == kind:
            return waiting.pop(0).exc
    elif kind in ASKING:
        assert waiting, f"no answer left for {step}"
        return waiting.pop(0)
    if kind in ASKING:
        raise AssertionError(f"{step} came before {waiting[0]}")
    return None
