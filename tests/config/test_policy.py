from __future__ import annotations

import msgspec

from aiclient2api.accounts.policy import DEFAULTS
from aiclient2api.config.load import build
from aiclient2api.config.model import Config
from aiclient2api.runtime import policy

ACCOUNT = {"accounts": {"a": {"provider": "openai", "api_key": "k"}}}


def configured(section: dict[str, object]) -> Config:
    return build({**ACCOUNT, "policy": section}, environ={})


def test_the_configurations_defaults_are_the_codes() -> None:
    assert policy(configured({})) == DEFAULTS


def test_every_constant_is_a_key() -> None:
    given = configured(
        {
            "attempts": 3,
            "affinity": "prompt_cache",
            "affinity_load": 2,
            "health": {"strikes": 5, "eject": "1s", "probe_body": "1KiB", "eject_share": 0.9},
            "retries": {"first_hop": 2, "backoff": "5ms"},
            "throttle": {"factor": 3},
            "concurrency": {"wait": "100ms"},
        }
    )

    made = policy(given)

    assert (made.health.strikes, made.health.eject, made.health.probe_body) == (5, 1.0, 1024)
    assert (made.retries.attempts, made.retries.first_hop, made.retries.backoff) == (3, 2, 0.005)
    assert (made.throttle.factor, made.concurrency.wait, made.affinity_load) == (3.0, 0.1, 2.0)
    assert made.affinity == "prompt_cache"
    for section in ("health", "retries", "throttle", "concurrency"):
        names = {field.name for field in msgspec.structs.fields(type(getattr(made, section)))}
        known = {field.name for field in msgspec.structs.fields(type(getattr(given.policy, section)))}
        assert names - known <= {"attempts"}
