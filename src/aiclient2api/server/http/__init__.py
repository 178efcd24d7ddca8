"""HTTP/1.1 towards clients, directly on the event loop's protocols: strict, bounded, and one write per ASGI message."""
