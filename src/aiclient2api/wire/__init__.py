"""Bytes: HTTP messages as values, framing of streams, typed JSON members. No meaning, no I/O."""
