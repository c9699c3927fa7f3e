"""websocket-client: blocking, a thread for each connection."""

from __future__ import annotations

import websocket

from .clients import Job


def echo(url: str, job: Job) -> None:
    counter = job.counter()
    connection = websocket.create_connection(url)
    send = connection.send_text if job.text else connection.send_binary
    job.begin_thread()
    for message in job.messages:
        send(message)
    while True:
        message = connection.recv()
        counter.value += 1
        send(message)


def consume(url: str, job: Job) -> None:
    counter = job.counter()
    connection = websocket.create_connection(url)
    job.begin_thread()
    while True:
        connection.recv()
        counter.value += 1
