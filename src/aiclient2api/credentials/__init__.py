"""Credentials that expire: OAuth tokens, fetched once per generation for all nodes and kept before they are used."""
