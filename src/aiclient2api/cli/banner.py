"""What the first lines of `serve` say: the address, the key if it is new, and curl lines that work as pasted."""

from __future__ import annotations

from aiclient2api.config.model import Config

_PLACEHOLDER = "$AICLIENT2API_KEY"


def banner(config: Config, port: int, new_key: str | None, *, demo: bool) -> str:
    """The text, with a final line break."""
    host = config.server.host
    scheme = "https" if config.server.tls else "http"
    reach = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  # comparing, not binding
    base = f"{scheme}://{f'[{reach}]' if ':' in reach else reach}:{port}"
    lines = [f"aiclient2api listens on {base}"]
    if demo:
        lines.append(
            "demo mode: the built-in simulator answers; set OPENAI_API_KEY or the like, or write aiclient2api.yaml, "
            "for real models"
        )
    lines.extend(_key_lines(config, new_key, demo=demo))
    if demo or new_key:
        model = "demo" if demo else _example_model(config)
        lines.extend(["", "try it:", *curl_lines(base, new_key or _PLACEHOLDER, model)])
    return "\n".join(lines) + "\n"


def _key_lines(config: Config, new_key: str | None, *, demo: bool) -> list[str]:
    if new_key is None:
        known = "client key: the one that was printed at the first start   (`aiclient2api keys create NAME` makes more)"
        return [] if config.keys else [known]
    kept = "new at each start" if demo else f"printed only now; its hash is kept in {config.store.data_dir}"
    return [f"client key: {new_key}   ({kept})"]


def _example_model(config: Config) -> str:
    pool = next(iter(config.pools), "pool")
    names = [name for name in config.models if "*" not in name]
    return names[0] if names else f"{pool}/MODEL"


def curl_lines(base: str, key: str, model: str) -> list[str]:
    """One line for each protocol."""
    json = "-H 'content-type: application/json'"
    return [
        f"curl -s {base}/v1/chat/completions -H 'authorization: Bearer {key}' {json} "
        f'-d \'{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}\'',
        f"curl -s {base}/v1/responses -H 'authorization: Bearer {key}' {json} "
        f'-d \'{{"model":"{model}","input":"Hello"}}\'',
        f"curl -s {base}/v1/messages -H 'x-api-key: {key}' -H 'anthropic-version: 2023-06-01' {json} "
        f'-d \'{{"model":"{model}","max_tokens":100,"messages":[{{"role":"user","content":"Hello"}}]}}\'',
        f"curl -s {base}/v1beta/models/{model}:generateContent -H 'x-goog-api-key: {key}' {json} "
        '-d \'{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}\'',
    ]
