"""A package that somebody else might publish: one more provider and one more protocol."""
