"""The ASGI edge: routes, keys, bodies, streams, health."""
