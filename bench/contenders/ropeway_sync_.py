"""The threaded client of ropeway, a thread for each connection."""

from __future__ import annotations

from typing import Any

from ropeway.sync.client import connect

from .clients import Job


def echo(url: str, job: Job) -> None:
    counter = job.counter()
    with connect(url, compression=None) as connection:
        job.begin_thread()
        for message in job.messages:
            connection.send(message)
        for message in connection:
            counter.value += 1
            connection.send(message)


def consume(url: str, job: Job) -> None:
    counter = job.counter()
    with connect(url, compression=None) as connection:
        job.begin_thread()
        for _ in connection:
            counter.value += 1


def idle(url: str) -> Any:
    return connect(url, compression=None)
