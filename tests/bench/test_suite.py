"""The benchmark suite: a tiny run of it, and the tables of records that are known."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import ropeway
from bench import payloads, publish, report
from bench.contenders import CONTENDERS, Contender, installed
from bench.processes import floor, load, result_of, serving, start
from bench.runner import Plan, run
from bench.scenarios import Scenario, Timing, all_scenarios
from bench.tools import program

from ..support.require import unavailable

OWN = "ropeway" if ropeway.build == "compiled" else "ropeway (pure)"


@pytest.fixture(autouse=True)
def needed() -> None:
    """The suite compiles C programs."""
    if shutil.which("gcc") is None:
        unavailable("gcc is not installed (apt-get install gcc)")


@pytest.mark.parametrize("scenario", ["2", "6-1", "7", "9"])
def test_a_scenario_runs(scenario: str, tmp_path: Path) -> None:
    cores = os.sched_getaffinity(0)
    plan = Plan.choose(only=[scenario], contenders=[OWN, "C"], rounds=2, seconds=0.05)
    out = tmp_path / "deep" / "results.json"
    data = run(plan, out)
    assert json.loads(out.read_text(encoding="utf-8")) == data
    assert {"date", "commit", "dirty", "machine", "cores", "kernel", "python", "versions"} < set(
        data
    )
    turns = [(record["contender"], record["loop"], record["round"]) for record in data["records"]]
    assert turns == [
        (OWN, "asyncio", 1),
        ("C", "none", 1),
        (OWN, "asyncio", 2),
        ("C", "none", 2),
    ]
    for record in data["records"]:
        metrics = record["metrics"]
        assert record["scenario"] == scenario
        assert metrics["messages"] > 0
        assert metrics["messages_per_s"] == pytest.approx(
            metrics["messages"] / metrics["elapsed_s"], rel=0.01
        )
        # A core cannot work for longer than the clock ran; the accounts lag by a tick.
        busy = metrics["cpu_us"] * 1e-6 * metrics["messages"]
        assert 0 < busy < metrics["elapsed_s"] + 0.02
        assert metrics["rss_kib"] > 100
    assert os.sched_getaffinity(0) == cores
    assert f"| {OWN} | asyncio |" in report.markdown(data)


def test_the_cpu_time_is_that_of_the_server() -> None:
    """Of two servers, the one that does more for a message costs more."""
    cpu = {}
    for name in (OWN, "C"):
        with serving(CONTENDERS[name], "asyncio") as (process, port):
            result = load("echo", port, process.pid, depth=64, seconds=0.1, warm_up=0.05)
        cpu[name] = result["cpu"] / result["messages"]
    assert cpu[OWN] > 1.5 * cpu["C"] > 0


def test_the_load_generator_compares_what_comes_back() -> None:
    liar = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = liar.accept()
        with connection:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += connection.recv(4096)
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            connection.recv(4096)
            connection.sendall(b"\x81\x03abd")
            connection.recv(4096)

    server = threading.Thread(target=serve)
    server.start()
    with liar, pytest.raises(RuntimeError, match="something else than it received"):
        load("echo", liar.getsockname()[1], os.getpid(), size=3, seconds=1, warm_up=0)
    server.join()


async def test_the_floor_speaks_the_protocol() -> None:
    """ropeway as its client: fragments of any size of frame, control frames, the closing."""
    with floor("echo") as (_, port):
        async with ropeway.connect(f"ws://127.0.0.1:{port}/", compression=None) as client:
            for size in (0, 1, 125, 126, 65535, 65536, 200_000):
                message = os.urandom(size)
                await client.send(message)
                assert await client.recv() == message
            await client.send("Grüße 🚡")
            assert await client.recv() == "Grüße 🚡"
            await asyncio.wait_for(await client.ping(), 10)
        assert client.close_code == 1000


async def test_the_feed_is_json() -> None:
    with floor("feed") as (_, port):
        async with ropeway.connect(f"ws://127.0.0.1:{port}/", compression=None) as client:
            texts = [await client.recv() for _ in range(1000)]
    assert {len(text) for text in texts} == {200}
    assert len({json.loads(text)["sequence"] for text in texts}) > 100


def test_a_process_that_fails_is_an_error_with_its_words() -> None:
    program_text = "import sys; sys.exit('no such thing')"
    process = start([sys.executable, "-c", program_text], min(os.sched_getaffinity(0)), stderr=-1)
    with pytest.raises(RuntimeError, match="no such thing"):
        result_of(process)


def test_a_process_that_does_not_end_is_an_error() -> None:
    core = min(os.sched_getaffinity(0))
    process = start([sys.executable, "-c", "import signal; signal.pause()"], core)
    with pytest.raises(RuntimeError, match="timed out"):
        result_of(process, timeout=0.05)
    assert process.returncode is not None


def test_what_was_measured_before_an_interruption_is_written(tmp_path: Path) -> None:
    def measure(contender: Contender, loop: str, timing: Timing) -> dict[str, float]:
        if loop == "none":
            raise KeyboardInterrupt
        return {"cpu_us": 1.0}

    scenario = Scenario("1", "", lambda contender: True, measure)
    plan = replace(Plan.choose(contenders=[OWN, "C"]), scenarios=[scenario])
    out = tmp_path / "results.json"
    with pytest.raises(KeyboardInterrupt):
        run(plan, out)
    records = json.loads(out.read_text(encoding="utf-8"))["records"]
    assert [record["metrics"] for record in records] == [{"cpu_us": 1.0}]


def test_a_build_that_cannot_run_is_noticed_before_anything_is_measured(tmp_path: Path) -> None:
    broken = Contender("broken", "ropeway", environment={"ROPEWAY_PURE": "neither"})
    plan = replace(Plan.choose(contenders=[OWN]), contenders=[broken])
    with pytest.raises(RuntimeError, match="broken cannot be imported"):
        run(plan, tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize("kind", ["short", "binary", "ascii", "mixed"])
def test_payloads_have_their_size(kind: str) -> None:
    data = payloads.payload_file(kind, 1000, 3).read_bytes()
    assert len(data) == 3000
    assert data == payloads.payload_file.__wrapped__(kind, 1000, 3).read_bytes()
    if kind == "binary":
        return
    for at in range(0, 3000, 1000):
        text = data[at : at + 1000].decode()
        assert text.isascii() == (kind != "mixed")


def test_programs_are_built_once() -> None:
    before = program("load").stat().st_mtime_ns
    program.cache_clear()
    assert program("load").stat().st_mtime_ns == before


def test_scenarios_have_names_of_their_own() -> None:
    names = [scenario.name for scenario in all_scenarios()]
    assert len(names) == len(set(names))


def test_no_contender_is_left_out_of_everything() -> None:
    for contender in CONTENDERS.values():
        assert any(scenario.has(contender) for scenario in all_scenarios()), contender.name


def test_unknown_names_are_refused() -> None:
    with pytest.raises(SystemExit, match="nobody"):
        Plan.choose(contenders=["nobody"])
    with pytest.raises(SystemExit, match="99"):
        Plan.choose(only=["99"])


def test_node_is_left_out_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not installed(CONTENDERS["node ws"])
    assert installed(Contender("other", "other"))


def record(contender: str, number: int, cpu: float, loop: str = "asyncio") -> dict[str, object]:
    return {
        "scenario": "2",
        "contender": contender,
        "loop": loop,
        "round": number,
        "metrics": {"cpu_us": cpu, "messages_per_s": 1e6 / cpu},
    }


def test_tables_show_medians_and_ratios() -> None:
    records = [
        record("ropeway", 1, 2.0),
        record("peer", 1, 30.0),
        record("C", 1, 1.0, "none"),
        record("ropeway", 2, 100.0),
        record("peer", 2, 12.0),
        record("ropeway", 3, 4.0),
        record("peer", 3, 20.0),
        {"scenario": "2", "contender": "late", "loop": "asyncio", "round": 1, "error": "no"},
    ]
    found = report.medians({"records": records})
    assert found["2", "ropeway", "asyncio"]["cpu_us"] == 4.0
    rows = {key[1:]: metrics for key, metrics in found.items()}
    assert report.table(rows).splitlines()[2:] == [
        "| ropeway | asyncio | 4 | 250000 | 1.00 |",
        "| peer | asyncio | 20 | 50000 | 5.00 |",
        "| C | none | 1 | 1000000 | 0.25 |",
    ]


def records_of(*records: dict[str, object]) -> dict[str, object]:
    return {"date": "2025-01-01", "dirty": False, "records": list(records)}


def test_records_are_written_as_they_are_read(tmp_path: Path) -> None:
    data = records_of(record("ropeway", 1, 2.5), record("C", 1, 1, "none"))
    path = tmp_path / "results.json"
    path.write_text(report.as_text(data), encoding="utf-8")
    assert report.load(path) == data
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2 + 4 + 2


def test_the_overview_leaves_out_what_was_not_measured() -> None:
    data = records_of(
        record("ropeway", 1, 2.5),
        record("ropeway", 1, 99, "uvloop"),
        record("C", 1, 1.0, "none"),
        {**record("websockets", 1, 130.0), "scenario": "1"},
    )
    assert publish.overview(data).splitlines() == [
        "| CPU time or memory | echo, 64 in flight, µs | echo, 1 in flight, µs |",
        "| --- | --: | --: |",
        "| ropeway | 2.5 |  |",
        "| websockets |  | 130 |",
        "| C | 1 |  |",
    ]


def test_runs_on_different_loops_are_joined_and_no_others() -> None:
    one = {**records_of(record("ropeway", 1, 2), record("C", 1, 1, "none")), **SAME_MACHINE}
    other = {**records_of(record("ropeway", 1, 3, "uvloop")), **SAME_MACHINE}
    joined = report.join([one, other])
    assert len(joined["records"]) == 3
    assert joined["elapsed_s"] == 3.0
    with pytest.raises(SystemExit, match="measured in more than one run"):
        report.join([one, one])
    with pytest.raises(SystemExit, match="runs of different commit: a and b"):
        report.join([one, {**other, "commit": "b"}])


SAME_MACHINE = {
    **dict.fromkeys(("machine", "kernel", "python", "versions", "full", "rounds")),
    "commit": "a",
    "elapsed_s": 1.5,
}


def test_only_what_a_commit_gave_is_published() -> None:
    with pytest.raises(SystemExit, match="uncommitted"):
        publish.publish({**records_of(), "dirty": True})


def test_idle_clients_are_counted_and_weighed(tmp_path: Path) -> None:
    data = run(Plan.choose(only=["6-idle"], contenders=["ropeway.sync"], rounds=1), tmp_path / "r")
    [record] = data["records"]
    assert record["metrics"]["threads_added"] == 1
    assert 1 < record["metrics"]["kib_per_connection"] < 100
