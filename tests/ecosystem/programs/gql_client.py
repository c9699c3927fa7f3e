"""A user of gql: queries and subscriptions over both protocols of GraphQL, and how they end."""

import asyncio
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

HELLO = gql("query { hello }")
COUNTDOWN = gql("subscription { countdown(from: 3) }")


def transport(uri: str, **options: object) -> WebsocketsTransport:
    return WebsocketsTransport(
        url=uri, headers={"X-Rider": "me"}, init_payload={"token": "sesame"}, **options
    )


async def current_protocol(uri: str) -> None:
    over = transport(f"{uri}/graphql", ping_interval=5, pong_timeout=5)
    async with Client(transport=over) as session:
        print("hello:", await session.execute(HELLO))
        async for result in session.subscribe(COUNTDOWN):
            print("counted:", result["countdown"], len(result["note"]))
        print("answered with:", over.response_headers["X-Service"])
        try:
            await session.execute(gql("query { trouble }"))
        except TransportQueryError as exc:
            print("error:", exc)
        results = await asyncio.gather(*(session.execute(HELLO) for _ in range(3)))
        print("at once:", results)


async def older_protocol(uri: str) -> None:
    async with Client(transport=transport(f"{uri}/older", keep_alive_timeout=5)) as session:
        counted = [result["countdown"] async for result in session.subscribe(COUNTDOWN)]
        print("older:", counted)


async def ends(uri: str) -> None:
    try:
        async with Client(transport=transport(f"{uri}/graphql")) as session:
            await session.execute(gql("query { hangUp }"))
    except TransportConnectionFailed as exc:
        print("hung up:", exc, "because of", repr(exc.__cause__))
    for path in ("/forbidden", "/graphql?close=4401"):
        try:
            async with Client(transport=transport(uri + path)):
                print("not reached")
        except TransportConnectionFailed as exc:
            print(path, exc, "because of", type(exc.__cause__), exc.__cause__)


async def main(uri: str) -> None:
    await current_protocol(uri)
    await older_protocol(uri)
    await ends(uri)


asyncio.run(main(sys.argv[1]))
