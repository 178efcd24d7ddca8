"""Timings of the gateway: upstream and load generator are processes of their own, on raw asyncio protocols."""
