"""The swarm and the flood, against ropeway and against servers that misbehave."""

from __future__ import annotations

import json
import shutil
import sys
import zlib
from collections.abc import Iterator

import pytest

import ropeway
from bench import ticks
from bench.contenders import CONTENDERS
from bench.crowd import Talker, flood, staging, swarming, talking
from bench.goals import GOALS
from bench.scenarios import Timing, all_scenarios

from ..support.require import unavailable

OWN = CONTENDERS["ropeway" if ropeway.build == "compiled" else "ropeway (pure)"]


@pytest.fixture(autouse=True)
def needed() -> None:
    """The suite reads Linux's accounts of other processes, and compiles its clients."""
    if sys.platform != "linux":
        pytest.skip("the suite needs Linux")
    if shutil.which("gcc") is None:
        unavailable("gcc is not installed (apt-get install gcc)")


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Talker, int]]:
    with staging(OWN, "asyncio", *request.param) as (server, port):
        yield server, port


plain = pytest.mark.parametrize("server", [("echo",)], indirect=True)
compressed = pytest.mark.parametrize("server", [("echo", "--compression")], indirect=True)


@compressed
def test_a_swarm_counts_what_comes_back(server: tuple[Talker, int]) -> None:
    talk = ticks.stream(200, 5, compressed=True)
    with swarming(server[1], compression=True) as swarm:
        assert swarm("open", 30) == "ok 30"
        assert swarm("send", talk.path, talk.messages).startswith("ok ")
        _, frames, size = swarm("expect", 150).split()
        assert int(frames) == 150
        # They were compressed, with the context of those before.
        assert 0 < int(size) < 30 * talk.payload_bytes * 0.8
        assert swarm("close").startswith("ok ")
        # A swarm may come again.
        assert swarm("open", 2) == "ok 2"


@plain
def test_a_swarm_keeps_messages_in_flight(server: tuple[Talker, int]) -> None:
    talk = ticks.stream(2048, 10, compressed=False)
    with swarming(server[1], compression=False) as swarm:
        swarm("open", 2)
        for _ in range(2):
            _, frames, size, elapsed = swarm("echo", talk.path, 3, 0.1).split()
            assert int(frames) >= 6
            mean = talk.payload_bytes / talk.messages
            assert int(size) / int(frames) == pytest.approx(mean + 4, rel=0.2)
            assert float(elapsed) >= 0.1


@pytest.mark.parametrize("server", [("room",)], indirect=True)
def test_a_room_reaches_everybody(server: tuple[Talker, int]) -> None:
    room, port = server
    with swarming(port, compression=False) as swarm:
        swarm("open", 20)
        room("cast", 3, 0)
        assert swarm("expect", 60) == f"ok 60 {60 * (2 + 95)}"
        late = json.loads(room("hold", 2, 0.01))
        assert len(late) == 2 and min(late) >= 0
        assert swarm("expect", 100) == f"ok 100 {100 * (2 + 95)}"


@plain
@pytest.mark.parametrize("kind", ["none", "messages", "fragments", "pings"])
def test_a_flood_counts_what_the_server_reads(server: tuple[Talker, int], kind: str) -> None:
    # A server may read 256 KiB at a time: a second of work for the pure build on a shared core.
    seconds = 0.5 if ropeway.build == "compiled" else 5
    result = flood(server[1], server[0].process.pid, kind, 2, seconds)
    assert result["messages"] == 1000 * seconds
    assert result["unanswered"] == 0
    assert 0 < result["p50_ms"] <= result["p99_ms"] <= result["max_ms"]
    assert (result["flood_frames_per_second"] > 0) == (kind != "none")


def test_ticks_are_json_and_compressed_in_one_window() -> None:
    stream = ticks.stream(200, 50, compressed=True)
    data, at = stream.path.read_bytes(), 0
    inflater = zlib.decompressobj(wbits=-ticks.WINDOW_BITS)
    messages = []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        frame = data[at + 4 : at + 4 + size]
        at += 4 + size
        start = 2 if frame[1] & 0x7F < 126 else 4
        key, payload = frame[start : start + 4], frame[start + 4 :]
        unmasked = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
        messages.append(inflater.decompress(unmasked + b"\x00\x00\xff\xff"))
    assert messages == ticks.ticks(200, 50)
    assert len({json.loads(message)["p"] for message in messages}) > 40


def test_a_talker_that_ends_is_an_error_with_its_words() -> None:
    text = "import sys; input(); sys.exit('no such thing')"
    with talking([sys.executable, "-c", text], 0) as talker:
        with pytest.raises(RuntimeError, match="no such thing"):
            talker("hello")


def test_what_a_process_says_of_itself() -> None:
    text = "memory = b''\nwhile input(): memory += bytes(50_000_000); sum(range(10**6)); print()"
    with talking([sys.executable, "-c", text], 0) as talker:
        talker("first")
        rss, cpu = talker.rss(), talker.cpu()
        talker("second")
        assert 45e6 < talker.rss() - rss < 120e6
        assert 0.001 < talker.cpu() - cpu < 5
        talker.settle()


@pytest.mark.parametrize("name", ["12-200B", "14-pings"])
def test_scenarios_have_the_metrics_of_their_goals(name: str) -> None:
    (scenario,) = [scenario for scenario in all_scenarios() if scenario.name == name]
    contender = CONTENDERS["websockets"]
    metrics = scenario.measure(contender, "asyncio", Timing(0.1, 0.05))
    assert {goal.metric for goal in GOALS if goal.scenario == name} <= metrics.keys()
