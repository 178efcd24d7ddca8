from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from aiclient2api.cli.accounts import read
from aiclient2api.cli.main import run
from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.harness import KEY, Sections, simulated


def two_accounts(url: str) -> Sections:
    account = {"provider": "anthropic_compatible", "base_url": url, "pool": "claude"}
    return {"accounts": {name: {**account, "api_key": f"secret-of-{name}"} for name in ("a", "b")}}


def test_the_accounts_of_a_running_gateway_are_listed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with simulated(two_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=401), match=Match(key="secret-of-a")))
        simulator.scenario.add(Rule(fault=Fault(status=429, retry_after=600), match=Match(key="secret-of-b")))
        body = {"model": "claude/x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
        httpx.post(f"{stack.url}/v1/messages", json=body, headers={"x-api-key": KEY})

        assert run(["accounts", "list", "--url", stack.url]) == 0
        table = capfd.readouterr().out
        assert run(["accounts", "list", "--url", stack.url, "--json"]) == 0
        accounts = capfd.readouterr().out
        config = tmp_path / "gateway.json"
        config.write_text(json.dumps(two_accounts(stack.upstream_url)))
        for model in ("x", "y"):
            assert run(["explain", f"claude/{model}", "--config", str(config), "--url", stack.url]) == 0
        explained = capfd.readouterr().out.split("rule ")
        first, second = json.loads(accounts)["accounts"]

    assert (first["account"], first["state"], first["limit"]) == ("a", "disabled", 64)
    assert first["out"][0]["text"].startswith("all models: disabled for ")
    assert (second["account"], second["state"]) == ("b", "healthy")
    assert second["out"][0]["text"].startswith("x: cooling for ")
    assert "rate_limit_exceeded" in second["out"][0]["text"]
    assert "upstream_auth" in table
    assert ["x: cooling for" in part for part in explained[1:]] == [True, False]
    assert ["all models: disabled for" in part for part in explained[1:]] == [True, True]
    assert "secret-of" not in table


@contextmanager
def behind_a_proxy(url: str) -> Iterator[str]:
    """The address of what passes requests on, as a load balancer does."""

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            passed = {"authorization": self.headers.get("authorization", ""), "x-forwarded-for": "192.0.2.1"}
            answer = httpx.get(url + self.path, headers=passed)
            self.send_response(answer.status_code)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None:  # its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_gateway_elsewhere_wants_a_client_key(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with simulated(two_accounts) as (stack, _), behind_a_proxy(stack.url) as url:
        config = tmp_path / "gateway.json"
        config.write_text(json.dumps(two_accounts(stack.upstream_url)))
        for words in (["accounts", "list"], ["explain", "claude/x", "--config", str(config)]):
            assert run([*words, "--url", url]) == 1
            assert "answered with 401" in capfd.readouterr().err
            assert run([*words, "--url", url, "--key", KEY]) == 0
            assert "claude" in capfd.readouterr().out


def test_what_an_admin_took_out_has_no_end_to_wait_for() -> None:
    labels = 'pool="chat",account="a"'
    page = (
        "# TYPE aiclient2api_account_out_seconds gauge\n"
        f'aiclient2api_account_out_seconds{{{labels},model="",state="disabled",reason=""}} +Inf\n'
        f'aiclient2api_account_out_seconds{{{labels},model="x",state="cooling",reason="overloaded"}} 4.6\n'
        f'aiclient2api_account_out_seconds{{{labels},model="y",state="cooling",reason="overloaded"}} 0\n'
        'aiclient2api_account_out_seconds{pool="chat",account="b",model="",state="disabled",reason=""} 0\n'
        "# TYPE aiclient2api_circuit_out_seconds gauge\n"
        'aiclient2api_circuit_out_seconds{circuit="host:a",reason="unreachable"} 0.2\n'
    )
    [line, enabled], shared = read(page)

    assert [out.text for out in line.out] == [
        "all models: disabled until it is enabled",
        "x: cooling for 5s (overloaded)",
        "y: cooling, tried by the next request (overloaded)",
    ]
    assert [out.text for out in enabled.out] == ["all models: disabled, tried by the next request"]
    assert shared == ["host:a: out for 1s (unreachable)"]


def test_a_gateway_that_does_not_answer_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["accounts", "list", "--url", "http://127.0.0.1:9"]) == 1
    assert "no gateway answers at http://127.0.0.1:9" in capfd.readouterr().err
    assert run(["accounts", "list", "--url", "file:///etc/passwd"]) == 1
    assert "--url must begin with http" in capfd.readouterr().err
