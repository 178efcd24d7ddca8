"""Accounts whose credential expires, in front of a real identity provider and a real Valkey, gateways as programs."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aiclient2api.credentials.journal import FILE
from aiclient2api.store import keys
from tests.fakes.identity import IdentityProvider
from tests.fakes.identity_server import CLIENT, CLIENT_SECRET, IdentityServer, claims, identity_server
from tests.program import Program, run, serving_program, simulating, write_config
from tests.store.servers import Server, running, until

KEY = "client-key-of-the-tests"
SECRET = "a secret that all nodes have, and long"
PATIENT: Final = {"policy": {"concurrency": {"wait": "30s"}}}
"""A request waits so long for the token that is being fetched: a busy machine needs more than the default."""


def sections(idp: IdentityServer, store: str, **oauth: object) -> dict[str, Any]:
    return {
        "accounts": {
            "sub": {
                "provider": "openai_compatible",
                "base_url": f"{idp.url}/v1",
                "pool": "chat",
                "oauth": {"token_url": idp.token_url, **oauth},
            }
        },
        "keys": [{"name": "tests", "key": KEY}],
        "secrets": {"key": SECRET},
        "store": {"url": store},
    }


def refreshing(idp: IdentityServer, store: str) -> dict[str, Any]:
    return sections(idp, store, grant="refresh_token", client_id=CLIENT, refresh_token=idp.identity.enrol())


def ask(url: str) -> int:
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps({"model": "chat/m", "messages": [{"role": "user", "content": "hi"}]}).encode(),
        {"authorization": f"Bearer {KEY}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def wait_for_token(node: Program) -> None:
    until(lambda: ask(node.url) == 200)


@contextmanager
def nodes(folder: Path, config: Mapping[str, Any], count: int) -> Generator[list[Program]]:
    with ExitStack() as stack:
        programs: list[Program] = []
        for number in range(count):
            (folder / f"n{number}").mkdir(exist_ok=True)
            data = {**config, "store": {**config["store"], "data_dir": str(folder / f"n{number}" / "data")}}
            programs.append(stack.enter_context(serving_program(folder / f"n{number}", data)))
        yield programs


def stored(server: Server) -> dict[str, Any]:
    with server.admin() as client:
        value: Any = client.get(keys.credential("sub"))
    return json.loads(value) if value else {}


def test_two_nodes_fetch_one_token_per_generation_and_requests_never_notice(tmp_path: Path) -> None:
    identity = IdentityProvider(time.monotonic, life=10.0)
    with identity_server(identity) as idp, running() as server:
        with nodes(tmp_path, refreshing(idp, server.url), 2) as programs:
            for program in programs:
                wait_for_token(program)
            statuses: list[int] = []
            while stored(server)["generation"] < 3:
                statuses.extend(ask(program.url) for program in programs)
                time.sleep(0.01)
        assert set(statuses) == {200}
        assert idp.served[""] == 0
        assert not identity.revoked
        assert set(identity.uses.values()) == {1}
        assert len(identity.uses) == stored(server)["generation"]


def test_a_token_that_the_upstream_refuses_is_renewed_once_and_the_client_gets_its_answer(
    tmp_path: Path,
) -> None:
    with identity_server() as idp, running() as server:
        with nodes(tmp_path, {**refreshing(idp, server.url), **PATIENT}, 1) as (node,):
            until(lambda: ask(node.url) == 200)
            idp.identity.spoil()
            assert [ask(node.url) for _ in range(5)] == [200] * 5
        assert idp.served[""] == 1
        assert len(idp.identity.uses) == 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_hundred_requests_at_a_tokens_end_fetch_one_token(tmp_path: Path, count: int) -> None:
    with identity_server() as idp, running() as server:
        with nodes(tmp_path, {**refreshing(idp, server.url), **PATIENT}, count) as programs:
            for program in programs:
                wait_for_token(program)
            idp.identity.spoil()
            with ThreadPoolExecutor(50) as pool:
                statuses = Counter(pool.map(lambda number: ask(programs[number % count].url), range(100)))
        assert statuses == {200: 100}
        assert len(idp.identity.uses) == 2
        assert set(idp.identity.uses.values()) == {1}
        assert not idp.identity.revoked


@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
def test_a_node_that_is_killed_while_it_asks_costs_no_account(tmp_path: Path, when: str) -> None:
    """The provider takes a refresh token again for a while, as the configuration says."""
    identity = IdentityProvider(time.monotonic, grace=300.0)
    with identity_server(identity) as idp, running() as server:
        config = refreshing(idp, server.url)
        config["accounts"]["sub"]["oauth"]["reuse"] = "120s"
        with nodes(tmp_path, config, 3) as programs:
            for program in programs:
                wait_for_token(program)
            idp.faults.append(30.0 if when == "before the answer" else "hold")
            identity.spoil()
            with ThreadPoolExecutor(1) as pool:
                asking = pool.submit(ask, programs[0].url)  # finds the token void
                until(lambda: idp.requests == 2 and stored(server).get("intent"))
                holder = stored(server)["intent"]["node"]
                (killed,) = [each for each in programs if f"-{each.process.pid}-" in holder]
                killed.process.kill()
                killed.process.wait()
                idp.go_on()
                with suppress(OSError):
                    asking.result()
            for program in programs:
                if program is not killed:  # the dead one's lease lasts for 20 s
                    until(lambda program=program: ask(program.url) == 200, 90.0)
        assert not identity.revoked
        assert max(identity.uses.values()) <= 2


@pytest.mark.parametrize("fault", [500, 400, "drop", "garbage", 9.0], ids=str)
def test_while_no_token_can_be_had_requests_go_to_others(tmp_path: Path, fault: float | str) -> None:
    with identity_server() as idp, running() as server, simulating() as (simulator, url):
        config = refreshing(idp, server.url)
        config["accounts"]["other"] = {
            "provider": "openai_compatible",
            "base_url": f"{url}/v1",
            "api_key": "upstream-other",
            "pool": "chat",
        }
        with nodes(tmp_path, config, 1) as (node,):
            wait_for_token(node)
            until(lambda: stored(server).get("generation") == 1)
            idp.faults.extend([fault] * 100)
            idp.identity.spoil()
            before = len(simulator.requests)
            assert {ask(node.url) for _ in range(20)} == {200}
            assert len(simulator.requests) - before >= 19
            assert stored(server)["generation"] == 1, "nobody waited for another token"


def test_the_only_account_without_a_token_is_an_answer_of_503(tmp_path: Path) -> None:
    with identity_server() as idp, running() as server:
        idp.faults.extend([500] * 100)
        with nodes(tmp_path, refreshing(idp, server.url), 1) as (node,):
            until(lambda: idp.requests and ask(node.url) == 503)
            idp.faults.clear()
            command = run(tmp_path, "accounts", "retry", "sub", "--config", str(node.config))
            assert command.returncode == 0, command.stderr
            wait_for_token(node)


def test_a_revoked_refresh_token_is_told_once_and_never_sent_again(tmp_path: Path) -> None:
    with (
        identity_server() as idp,
        running() as server,
        nodes(tmp_path, refreshing(idp, server.url), 2) as (one, two),
    ):
        until(lambda: ask(one.url) == ask(two.url) == 200)
        idp.identity.revoke()
        assert ask(one.url) == 503
        until(lambda: stored(server).get("dead"))
        until(lambda: ask(two.url) == 503)
        assert {ask(url) for _ in range(20) for url in (one.url, two.url)} == {503}
        assert idp.requests == 2
        until(lambda: one.events("credential_dead") and two.events("credential_dead"))
        told = one.events("credential_dead")
        assert [(event["level"], event["account"], event["reason"]) for event in told] == [
            ("error", "sub", "invalid_grant")
        ]
        listed = json.loads(run(tmp_path, "accounts", "list", "--url", one.url, "--json").stdout)
        assert "reauth_required" in json.dumps(listed)


def test_an_emptied_store_is_filled_again_from_what_the_nodes_know(tmp_path: Path) -> None:
    with identity_server() as idp, running() as server:
        config = refreshing(idp, server.url)
        with nodes(tmp_path, config, 2) as programs:
            until(lambda: all(ask(program.url) == 200 for program in programs))
            with server.admin() as client:
                client.flushall()
            until(lambda: stored(server).get("generation") == 1)
        with server.admin() as client:
            client.flushall()
        with nodes(tmp_path, config, 2) as programs:  # nobody remembers but the disks
            until(lambda: all(ask(program.url) == 200 for program in programs))
            assert stored(server)["generation"] == 1
        assert idp.requests == 1


def test_a_node_with_a_valid_token_goes_on_without_the_store(tmp_path: Path) -> None:
    with identity_server() as idp, running() as server:
        with nodes(tmp_path, refreshing(idp, server.url), 1) as (node,):
            until(lambda: ask(node.url) == 200)
            server.pause()
            try:
                assert [ask(node.url) for _ in range(5)] == [200] * 5
            finally:
                server.resume()
        assert idp.requests == 1


def test_a_node_that_stops_while_it_asks_takes_the_answer_along(tmp_path: Path) -> None:
    with identity_server() as idp, running() as server:
        idp.faults.append(1.5)
        config = refreshing(idp, server.url)
        with nodes(tmp_path, config, 1) as (node,):
            until(lambda: idp.requests == 1)
            assert node.stop() == 0
        assert stored(server)["generation"] == 1
        with nodes(tmp_path, config, 1) as (node,):
            until(lambda: ask(node.url) == 200)
        assert idp.requests == 1


def test_client_credentials_and_service_accounts_get_tokens(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "account.json").write_text(
        json.dumps({"type": "service_account", "private_key": pem.decode()})
    )
    grants: list[dict[str, Any]] = [
        {"grant": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET, "scope": "llm"},
        {
            "grant": "jwt_bearer",
            "issuer": "svc@example.com",
            "scope": "llm",
            "private_key": str(tmp_path / "account.json"),
            "algorithm": "ES256",
            "key_id": "k1",
        },
    ]
    for grant in grants:
        folder = tmp_path / str(grant["grant"])
        folder.mkdir()
        with identity_server() as idp, nodes(folder, sections(idp, "memory", **grant), 1) as (node,):
            wait_for_token(node)
            form = idp.forms[-1]
            if grant["grant"] == "client_credentials":
                assert form == {"grant_type": "client_credentials", "scope": "llm"}
                continue
            head, body, signature = form["assertion"].split(".")
            told = claims(form["assertion"])
            assert (told["iss"], told["aud"], told["scope"]) == ("svc@example.com", idp.token_url, "llm")
            raw = base64.urlsafe_b64decode(signature + "==")
            first, second = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
            key.public_key().verify(
                encode_dss_signature(first, second), f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())
            )


def test_without_the_key_nothing_starts_and_nothing_is_overwritten(tmp_path: Path) -> None:
    with identity_server() as idp, running() as server:
        config = refreshing(idp, server.url)
        with nodes(tmp_path, config, 1) as (node,):
            until(lambda: ask(node.url) == 200 and stored(server)["generation"] == 1)
        journal = tmp_path / "n0" / "data" / FILE
        before, in_store = journal.read_bytes(), stored(server)

        data = {"url": server.url, "data_dir": str(journal.parent)}
        other = {**config, "store": data, "secrets": {"key": "quite another secret"}}
        done = run(tmp_path, "serve", "--config", str(write_config(tmp_path, other)))
        assert done.returncode == 2
        assert "secrets.key:" in done.stderr and "sealed with another key" in done.stderr
        assert "Traceback" not in done.stderr
        assert (journal.read_bytes(), stored(server)) == (before, in_store)

        # a node without a journal finds it out from the store, says so and leaves the record alone
        (tmp_path / "new").mkdir()
        fresh = {**other, "store": {"url": server.url, "data_dir": str(tmp_path / "new" / "data")}}
        with serving_program(tmp_path / "new", fresh) as program:
            until(lambda: program.events("credential_unusable"))
            assert ask(program.url) == 503
        assert stored(server) == in_store

        rotated = {**other, "secrets": {"key": "quite another secret", "previous": [SECRET]}, "store": data}
        with serving_program(tmp_path / "n0", rotated) as program:
            until(lambda: ask(program.url) == 200)
        assert idp.requests == 1


def test_no_token_is_in_a_log_a_metric_the_store_or_the_journal(tmp_path: Path) -> None:
    with identity_server() as idp, running() as server:
        idp.faults.append(500)
        with nodes(tmp_path, refreshing(idp, server.url), 1) as (node,):
            until(lambda: ask(node.url) == 200)
            with urllib.request.urlopen(f"{node.url}/metrics") as answer:
                metrics = answer.read().decode()
            seen = [node.stdout, node.stderr, metrics, json.dumps(stored(server))]
            seen.append((tmp_path / "n0" / "data" / FILE).read_text())
        tokens = [*idp.served, *(form["refresh_token"] for form in idp.forms)]
        assert len(tokens) >= 3
        for text in seen:
            assert not any(token in text for token in tokens if token)
