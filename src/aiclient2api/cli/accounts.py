"""`aiclient2api accounts`: what a running gateway knows of its accounts, and an admin's word on them for all nodes."""

from __future__ import annotations

import math
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from aiclient2api.cli.account_words import WORDS, list_shared
from aiclient2api.cli.added import add, remove
from aiclient2api.cli.options import config_option, json_option, load_config
from aiclient2api.cli.output import print_json, print_table

PATIENCE = 5.0
"""Seconds for the gateway to answer."""


class Out(Struct, frozen=True):
    """Something on an account that is out; `model` is empty for the whole account."""

    model: str
    text: str


class Line(Struct, kw_only=True):
    """One account, or something its accounts share that is out."""

    pool: str
    account: str
    state: str = ""
    inflight: int = 0
    limit: float = 0.0
    out: list[Out] = []


@click.group(short_help="List, add, remove, enable, disable, retry accounts on all nodes.")
def accounts() -> None:
    """List the accounts of a running gateway; add, remove, enable, disable, retry them on all nodes."""


for word in (*WORDS, add, remove):
    accounts.add_command(word)


@accounts.command("list", short_help="Show the accounts of a running gateway.")
@config_option
@click.option("--url", help="Where the gateway is [default: the configuration's host and port].")
@click.option("--key", envvar="AICLIENT2API_KEY", help="A client key, where it is not on this machine.")
@click.option("--shared", is_flag=True, help="What all nodes know, from the store; needs no running gateway.")
@json_option
def list_accounts(path: Path | None, url: str | None, key: str | None, shared: bool, as_json: bool) -> int:
    """Show every account with its state, what is under way on it and what is out for how long."""
    if shared:
        list_shared(load_config(path), as_json=as_json)
        return 0
    lines, outages = read(_fetch(url or _address(path), key))
    if as_json:
        print_json({"accounts": lines, "shared": outages})
        return 0
    rows = [
        [
            line.pool,
            line.account,
            line.state,
            f"{line.inflight}/{line.limit:.0f}",
            "; ".join(out.text for out in line.out) or "-",
        ]
        for line in lines
    ]
    print_table("Accounts", ["pool", "account", "state", "under way", "out"], rows)
    for outage in outages:
        click.echo(outage)
    return 0


def outages(url: str, key: str | None = None) -> dict[tuple[str, str], list[Out]]:
    """What is out at a running gateway, by pool and account."""
    lines, _ = read(_fetch(url, key))
    return {(line.pool, line.account): line.out for line in lines}


def _address(path: Path | None) -> str:
    server = load_config(path).server
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::") else server.host  # noqa: S104  # compared, not bound
    return f"{'https' if server.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{server.port}"


def _fetch(url: str, key: str | None) -> str:
    if not url.startswith(("http://", "https://")):
        raise click.ClickException("--url must begin with http:// or https://")
    request = urllib.request.Request(f"{url.rstrip('/')}/metrics")  # noqa: S310  # checked above
    if key:
        request.add_header("authorization", f"Bearer {key}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            raise click.ClickException(f"the gateway at {url} answered with {error.code}") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise click.ClickException(f"no gateway answers at {url}: {reason}") from None


def read(text: str) -> tuple[list[Line], list[str]]:
    """The accounts in metrics, and what they share that is out, in words."""
    lines: dict[tuple[str, str], Line] = {}
    shared: list[str] = []
    for name, labels, value in _samples(text):
        if name == "aiclient2api_circuit_out_seconds":
            shared.append(f"{labels['circuit']}: out{_lasting(value)} ({labels['reason']})")
        if not name.startswith("aiclient2api_account_"):
            continue
        key = labels["pool"], labels["account"]
        line = lines.setdefault(key, Line(pool=key[0], account=key[1]))
        match name.removeprefix("aiclient2api_account_"):
            case "state" if value:
                line.state = labels["state"]
            case "inflight":
                line.inflight = int(value)
            case "limit":
                line.limit = value
            case "out_seconds":
                model = labels["model"]
                line.out.append(Out(model, f"{model or 'all models'}: {_outage(labels, value)}"))
            case _:
                pass
    return list(lines.values()), shared


def _outage(labels: Mapping[str, str], seconds: float) -> str:
    if seconds == float("inf"):  # without a reason it is an admin's word
        return (
            f"{labels['state']} ({labels['reason']})" if labels["reason"] else "disabled until it is enabled"
        )
    reason = f" ({labels['reason']})" if labels["reason"] else ""
    return f"{labels['state']}{_lasting(seconds)}{reason}"


def _lasting(seconds: float) -> str:
    """Until a request may try it: what is due stays as it is until one does."""
    return f" for {math.ceil(seconds)}s" if seconds > 0 else ", tried by the next request"


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
