"""A user of ocpp: a charging station and its central system, each on its own connection."""

import asyncio
import sys

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action, RegistrationStatus, RemoteStartStopStatus


class Central(ChargePoint):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.booted = asyncio.Event()

    @on(Action.boot_notification)
    def on_boot(self, charge_point_vendor: str, charge_point_model: str, **_: object):
        print("booted:", self.id, charge_point_vendor, charge_point_model)
        self.booted.set()
        return call_result.BootNotification(
            current_time="today", interval=10, status=RegistrationStatus.accepted
        )


class Station(ChargePoint):
    @on(Action.remote_start_transaction)
    def on_start(self, id_tag: str, **_: object):
        print("start:", id_tag)
        return call_result.RemoteStartTransaction(status=RemoteStartStopStatus.accepted)


async def listen(point: ChargePoint) -> None:
    try:
        await point.start()
    except websockets.exceptions.ConnectionClosed as exc:
        print(type(point).__name__, "ends:", type(exc).__name__, exc)


async def station(uri: str) -> None:
    async with websockets.connect(f"{uri}/CP_1", subprotocols=["ocpp1.6"]) as connection:
        print("agreed:", connection.subprotocol)
        point = Station("CP_1", connection)
        listening = asyncio.create_task(listen(point))
        boot = call.BootNotification(charge_point_model="Wallbox", charge_point_vendor="Ropeway")
        answer = await point.call(boot)
        await listening
        # Not before: what comes next is handled by another task.
        print("answer:", answer.status)


async def central(connection) -> None:
    point = Central(connection.request.path.strip("/"), connection)
    listening = asyncio.create_task(listen(point))
    await point.booted.wait()
    answer = await point.call(call.RemoteStartTransaction(id_tag="ann"))
    print("started:", answer.status)
    await connection.close(1000, "maintenance")
    await listening


async def main(uri: str) -> None:
    await station(uri)
    async with websockets.serve(central, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
        port = server.sockets[0].getsockname()[1]
        await station(f"ws://127.0.0.1:{port}")


asyncio.run(main(sys.argv[1]))
