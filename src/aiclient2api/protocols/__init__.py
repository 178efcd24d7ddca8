"""Strategy: one package per protocol, each around the IR; the strategies relay, patch and pivot on top."""
