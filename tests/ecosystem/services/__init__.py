"""The services that the programs talk to: as little of each as it takes."""

from __future__ import annotations

from ..visits import Service
from . import markets, others, speech

__all__ = ["SERVICES"]

SERVICES = {
    "alpaca": Service(markets.alpaca),
    "binance": Service(markets.binance),
    "cartesia": Service(speech.cartesia, tls=True),
    "deepgram": Service(speech.deepgram),
    "deriv": Service(markets.deriv),
    "devtools": Service(others.devtools),
    "elevenlabs": Service(speech.elevenlabs, tls=True),
    "ethereum": Service(markets.ethereum),
    "genai": Service(speech.genai, tls=True),
    "graphql": Service(
        others.graphql,
        {
            "subprotocols": ["graphql-transport-ws", "graphql-ws"],
            "select_subprotocol": others.graphql_subprotocol,
            "process_response": others.add_header,
        },
    ),
    "ocpp": Service(others.ocpp, {"subprotocols": ["ocpp1.6"]}),
    "openai": Service(speech.openai),
    "realtime": Service(others.realtime),
    "slack": Service(others.slack),
    "solana": Service(markets.solana),
}
"""The services by name."""
