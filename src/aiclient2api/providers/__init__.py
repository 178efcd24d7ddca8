"""Adapter: one module per kind of upstream. Pure: addresses, signatures, profiles and classification, no I/O."""
