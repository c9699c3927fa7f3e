"""What is run: programs that use a package, each with what it talks to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A program, and the part of a package that it uses.

    Exactly one of ``service`` and ``visitor`` is given: a program is a client, or a server.
    """

    package: str
    feature: str
    program: str
    service: str | None = None
    visitor: str | None = None
    arguments: tuple[str, ...] = ()
    environment: str = "current"

    def __str__(self) -> str:
        return "-".join([self.program, *self.arguments])


CASES = (
    Case("uvicorn", "websockets-sansio", "uvicorn_server", None, "uvicorn", ("websockets-sansio",)),
    Case("uvicorn", "websockets (legacy)", "uvicorn_server", None, "uvicorn", ("websockets",)),
    Case("sanic", "server (sans-I/O)", "sanic_server", None, "sanic"),
    Case("gql", "subscriptions (asyncio)", "gql_client", "graphql"),
    Case("web3", "WebSocketProvider (asyncio)", "web3_client", "ethereum"),
    Case("elevenlabs", "speech, conversation (sync)", "elevenlabs_client", "elevenlabs"),
    Case("deepgram-sdk", "listen, speak (sync)", "deepgram_client", "deepgram", None, ("sync",)),
    Case("deepgram-sdk", "listen (legacy)", "deepgram_client", "deepgram", None, ("asyncio",)),
    Case("alpaca-py", "market data, trading (legacy)", "alpaca_client", "alpaca"),
    Case("openai", "realtime (sync)", "openai_client", "openai", None, ("sync",), "below_16"),
    Case("openai", "realtime (asyncio)", "openai_client", "openai", None, ("asyncio",), "below_16"),
    Case("cartesia", "speech (sync)", "cartesia_client", "cartesia", None, ("sync",), "below_16"),
    Case(
        "cartesia",
        "speech (asyncio)",
        "cartesia_client",
        "cartesia",
        None,
        ("asyncio",),
        "below_16",
    ),
    Case("realtime", "channels (asyncio)", "realtime_client", "realtime", None, (), "below_16"),
    Case("google-genai", "live (asyncio)", "genai_client", "genai"),
    Case("python-binance", "streams (asyncio)", "binance_client", "binance"),
    Case("solana", "subscriptions (asyncio)", "solana_client", "solana"),
    Case("slack-sdk", "socket mode (asyncio)", "slack_client", "slack"),
    Case("ocpp", "client and server (asyncio)", "ocpp_both", "ocpp"),
    Case(
        "pyppeteer", "DevTools (legacy, 2022)", "pyppeteer_client", "devtools", None, (), "of_2022"
    ),
    Case("python-deriv-api", "calls (legacy, 2022)", "deriv_client", "deriv", None, (), "of_2022"),
)
"""All programs."""
