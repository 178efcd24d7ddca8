"""Model names to targets. Pure."""
