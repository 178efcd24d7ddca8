"""The configuration: a typed tree, read from file, environment and flags, checked as a whole."""
