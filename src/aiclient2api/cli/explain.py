"""`aiclient2api explain`: where a model name leads, account by account, and what a request would lose there."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

import click
import msgspec
from msgspec import Struct

from aiclient2api.cli.accounts import Out, outages
from aiclient2api.cli.losses import describe_all
from aiclient2api.cli.messages import PROTOCOLS, TENANT, client_request, factory
from aiclient2api.cli.options import config_option, json_option, load_config
from aiclient2api.cli.output import print_json, print_table
from aiclient2api.config.load import route_table
from aiclient2api.config.model import AccountConfig, Config
from aiclient2api.errors import MalformedMessage, UnknownModel, Unrepresentable
from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.conversion import Target as ConversionTarget
from aiclient2api.routing.table import Target


class Candidate(Struct, frozen=True):
    """One account of a target, and how it would be asked by each client protocol."""

    account: str
    provider: str
    conversions: dict[str, str]
    """Client protocol to the conversion's name."""
    passed_over: str | None = None
    """Why it would not be tried."""


class Step(Struct, frozen=True):
    """One target with its accounts; `losses` or `refused` only for a given request."""

    target: str
    accounts: list[Candidate]
    losses: list[Loss] | None = None
    refused: str | None = None


@click.command(short_help="Show where a model name leads, and why.")
@click.argument("model")
@config_option
@click.option("--pool", help="As if the request came in at /POOL/….")
@click.option(
    "--request",
    "file",
    type=click.File("rb"),
    help="A request body: show what each target would lose of it ('-' is stdin).",
)
@click.option(
    "--from",
    "protocol",
    type=click.Choice(PROTOCOLS),
    default=PROTOCOLS[0],
    show_default=True,
    help="The protocol of --request.",
)
@click.option("--url", help="A running gateway: also say what is out there, and for how long.")
@click.option(
    "--key", envvar="AICLIENT2API_KEY", help="A client key for --url, where it is not on this machine."
)
@json_option
def explain(
    model: str,
    path: Path | None,
    pool: str | None,
    file: BinaryIO | None,
    protocol: str,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> int:
    """Show which targets and accounts MODEL leads to, in order, and why others are passed over."""
    config = load_config(path)
    try:
        route = route_table(config).resolve(model, pool)
        body = None if file is None else file.read()
        steps = [_step(config, target, protocol, body) for target in route.targets]
        fallback = [_step(config, target, protocol, body) for target in route.context_fallback]
    except UnknownModel as error:
        raise click.ClickException(str(error)) from None
    except MalformedMessage as error:
        raise click.ClickException(f"--request is not a valid {protocol} request: {error}") from None
    if url is not None:
        live = outages(url, key)
        steps, fallback = [_now(step, live) for step in steps], [_now(step, live) for step in fallback]
    if as_json:
        print_json({"model": model, "rule": route.rule, "targets": steps, "context_fallback": fallback})
        return 0
    click.echo(f"model  {model}\nrule   {route.rule}\n")
    for number, step in enumerate(steps, 1):
        _print(f"{number}. {step.target}", step)
    for step in fallback:
        _print(f"Too long a context: {step.target}", step)
    return 0


def _now(step: Step, live: dict[tuple[str, str], list[Out]]) -> Step:
    """The step with what is out at the moment, for this model or for all."""
    pool, _, model = step.target.partition("/")
    accounts: list[Candidate] = []
    for one in step.accounts:
        out = [each.text for each in live.get((pool, one.account), []) if each.model in ("", model)]
        known = [one.passed_over] if one.passed_over else []
        accounts.append(msgspec.structs.replace(one, passed_over="; ".join((*known, *out)) or None))
    return msgspec.structs.replace(step, accounts=accounts)


def _step(config: Config, target: Target, protocol: str, body: bytes | None) -> Step:
    members = config.pools[target.pool]
    candidates = [_candidate(config, account, target.model) for account in members]
    step = Step(str(target), candidates)
    usable = [
        account for account, candidate in zip(members, candidates, strict=True) if not candidate.passed_over
    ]
    if body is None or not usable:
        return step
    try:
        return Step(step.target, candidates, losses=_losses(config, usable[0], target, protocol, body))
    except Unrepresentable as error:
        return Step(step.target, candidates, refused=str(error))


def _candidate(config: Config, account: AccountConfig, model: str) -> Candidate:
    conversions = {client: _label(config, client, account) for client in PROTOCOLS}
    is_listed = not account.models or any(fnmatchcase(model, pattern) for pattern in account.models)
    reason = None if is_listed else f"{model} is not in its models list"
    return Candidate(account.name, account.provider, conversions, reason)


def _label(config: Config, client: str, account: AccountConfig) -> str:
    """The conversion's name, as the header `x-a2-conversion` will say it."""
    upstream = _upstream(client, account)
    if upstream != client:
        return f"{client}>{upstream}"
    return "relay" if config.system_prompt.prompt() is None else "patch"


def _upstream(client: str, account: AccountConfig) -> str:
    return client if client in account.protocols else account.protocols[0]


def _losses(config: Config, account: AccountConfig, target: Target, protocol: str, body: bytes) -> list[Loss]:
    converters = factory(config.system_prompt.prompt())
    inbound = Inbound(converters[protocol], client_request(converters[protocol], body, target.model), TENANT)
    provider = account.spec.build(account.settings)
    upstream = _upstream(protocol, account)
    aim = ConversionTarget(
        model=target.model, profile=provider.profile(target.model, upstream), streams=provider.streams
    )
    return converters.convert(inbound, upstream, aim).losses


def _print(title: str, step: Step) -> None:
    print_table(title, ["account", "provider", *PROTOCOLS, "passed over because"], _rows(step.accounts))
    if step.refused is not None:
        click.echo(f"   refused: {step.refused}\n")
    if step.losses is not None:
        click.echo("".join(f"   {line}\n" for line in describe_all(step.losses)))


def _rows(candidates: Sequence[Candidate]) -> list[list[str]]:
    return [
        [
            candidate.account,
            candidate.provider,
            *(candidate.conversions[protocol].removeprefix(protocol) for protocol in PROTOCOLS),
            candidate.passed_over or "-",
        ]
        for candidate in candidates
    ]
