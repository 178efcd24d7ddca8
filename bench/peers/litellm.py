"""LiteLLM's proxy (Python)."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Final

from bench.contender import GATEWAY_CORE, Contender, free_port, start, wait_until_open
from bench.scenarios import MODEL

PACKAGES: Final = ("litellm[proxy]==1.106.2",)


def serve(upstream: str, folder: Path, bin_: Path) -> Contender:
    """One worker, one model, no data base; Claude's Messages are converted as well."""
    port, key = free_port(), f"sk-{secrets.token_hex(16)}"
    # with its own `openai/` it asks for Responses when it converts Messages, which a Chat upstream does not speak
    model = {"model": f"hosted_vllm/{MODEL}", "api_base": f"{upstream}/v1", "api_key": "none"}
    config = folder / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": MODEL, "litellm_params": model}],
                "general_settings": {"master_key": key},
                "litellm_settings": {"telemetry": False, "num_retries": 0},
            }
        ),
        encoding="utf-8",
    )
    command = [str(bin_ / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    env = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": str(folder)}
    with Path(folder, "log").open("wb") as log:
        process = start([*command, "--num_workers", "1"], GATEWAY_CORE, env=env, log=log)
    wait_until_open(port, process, "litellm")
    return Contender("litellm", f"http://127.0.0.1:{port}", process, key=key, can=lambda _: True)
