"""Services of all other kinds."""

from __future__ import annotations

import json
from typing import Any

from ..visits import Visit


async def graphql(visit: Visit) -> None:
    older = visit.connection.subprotocol == "graphql-ws"
    event = "data" if older else "next"
    async for text in visit:
        message = json.loads(text)
        match message:
            case {"type": "connection_init"} if visit.query.startswith("close="):
                await visit.close(int(visit.query.removeprefix("close=")), "go away")
            case {"type": "connection_init"}:
                await visit.send(json.dumps({"type": "connection_ack"}))
            case {"type": "ping"}:
                await visit.send(json.dumps({"type": "pong"}))
            case {"type": "subscribe" | "start", "id": number, "payload": {"query": query}}:
                if "hangUp" in query:
                    await visit.close(4000, "hung up")
                elif "trouble" in query:
                    error: Any = [{"message": "there is trouble"}]
                    await visit.send(json.dumps({"id": number, "type": "error", "payload": error}))
                else:
                    count = 3 if "countdown" in query else 0
                    for left in range(count, 0, -1):
                        data = {"data": {"countdown": left, "note": "n" * 500}}
                        await visit.send(json.dumps({"id": number, "type": event, "payload": data}))
                    if not count:
                        data = {"data": {"hello": "world"}}
                        await visit.send(json.dumps({"id": number, "type": event, "payload": data}))
                    await visit.send(json.dumps({"id": number, "type": "complete"}))


def graphql_subprotocol(connection: Any, offered: list[str]) -> str | None:
    wanted = "graphql-ws" if connection.request.path.startswith("/older") else ""
    return next((name for name in offered if name == (wanted or "graphql-transport-ws")), None)


def add_header(connection: Any, request: Any, response: Any) -> None:
    response.headers["X-Service"] = "fake"


async def slack(visit: Visit) -> None:
    hello = {"type": "hello", "num_connections": visit.number}
    await visit.send(json.dumps(hello))
    for number in range(2):
        text = f"message {number} on connection {visit.number}"
        request = {
            "type": "events_api",
            "envelope_id": f"e{visit.number}{number}",
            "payload": {"text": text},
            "accepts_response_payload": False,
        }
        await visit.send(json.dumps(request))
        await visit.recv()
    if visit.number == 1:
        await visit.send(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))
    async for _ in visit:
        pass


async def ocpp(visit: Visit) -> None:
    kind, number, action, _ = json.loads(await visit.recv())
    assert (kind, action) == (2, "BootNotification")
    accepted = {"currentTime": "today", "interval": 10, "status": "Accepted"}
    await visit.send(json.dumps([3, number, accepted]))
    await visit.send(json.dumps([2, "c1", "RemoteStartTransaction", {"idTag": "ann"}]))
    await visit.recv()
    await visit.close(1001, "maintenance")


async def realtime(visit: Visit) -> None:
    async for text in visit:
        message = json.loads(text)
        match message["event"]:
            case "phx_join" | "phx_leave":
                reply = {"status": "ok", "response": {"postgres_changes": []}}
                answer = {"event": "phx_reply", "topic": message["topic"], "payload": reply}
                await visit.send(json.dumps({**answer, "ref": message["ref"]}))
            case "broadcast" if message["payload"]["event"] == "lost":
                await visit.close(1011, "out of order")
            case "broadcast":
                await visit.send(json.dumps({**message, "ref": None}))


async def devtools(visit: Visit) -> None:
    async for text in visit:
        asked = json.loads(text)
        answer: dict[str, Any] = {"id": asked["id"], "result": {}}
        match asked["method"]:
            case "Browser.getVersion":
                answer["result"] = {"product": "Fake/1.0", "protocolVersion": "1.3"}
            case "Target.setDiscoverTargets":
                created = {"targetInfo": {"targetId": "t1", "type": "page"}}
                await visit.send(event("Target.targetCreated", created))
            case "Target.attachToTarget":
                answer["result"] = {"sessionId": "s1"}
            case "Target.sendMessageToTarget":
                await visit.send(json.dumps(answer))
                await answer_of_page(visit, json.loads(asked["params"]["message"]))
                continue
            case "Nonsense.method":
                answer = {"id": asked["id"], "error": {"message": "wasn't found", "code": -32601}}
        await visit.send(json.dumps(answer))
        if asked["method"] == "Browser.close":
            await visit.close()


async def answer_of_page(visit: Visit, asked: dict[str, Any]) -> None:
    result = {"data": "A" * 2_000_000} if "Screenshot" in asked["method"] else {"frameId": "f1"}
    if asked["method"] == "Page.navigate":
        loaded = event("Page.loadEventFired", {"timestamp": 1.5})
        await visit.send(from_page(loaded))
    await visit.send(from_page(json.dumps({"id": asked["id"], "result": result})))


def event(method: str, params: dict[str, Any]) -> str:
    return json.dumps({"method": method, "params": params})


def from_page(message: str) -> str:
    return event("Target.receivedMessageFromTarget", {"sessionId": "s1", "message": message})
