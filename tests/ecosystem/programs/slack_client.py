"""A user of slack-sdk: socket mode, in which the server says when to move to another connection."""

import asyncio
import json
import sys

from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.socket_mode.websockets import SocketModeClient


class Client(SocketModeClient):
    async def issue_new_wss_url(self) -> str:
        return f"{sys.argv[1]}/link/?ticket=1"


async def main() -> None:
    client = Client(app_token="xapp-sesame", ping_interval=5)
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def on_request(client: SocketModeClient, request) -> None:
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
        await heard.put(f"{request.type} {request.payload['text']}")

    async def on_message(client: SocketModeClient, message: dict, raw: str) -> None:
        if message.get("type") in ("hello", "disconnect"):
            await heard.put(json.dumps(message))

    client.socket_mode_request_listeners.append(on_request)
    client.message_listeners.append(on_message)
    await client.connect()
    print("connected:", await client.is_connected())
    for _ in range(6):
        print("heard:", await asyncio.wait_for(heard.get(), 20))
    await client.close()
    print("connected:", await client.is_connected(), client.current_session.close_code)


asyncio.run(main())
