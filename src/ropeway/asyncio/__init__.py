"""The driver for asyncio, on any of its loops."""
