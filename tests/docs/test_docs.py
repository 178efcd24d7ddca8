"""Everything that a user can set, call or read is on its page, and everything on the page exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import msgspec
import pytest
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo

from aiclient2api.cli.fleet import worker_metrics
from aiclient2api.cli.main import COMMANDS, cli
from aiclient2api.config.load import build
from aiclient2api.config.model import AccountOptions, Document, TimeoutChanges, Timeouts
from aiclient2api.config.units import Duration, Size
from aiclient2api.errors import (
    BadRequest,
    Busy,
    ClientTimeout,
    CredentialsRejected,
    ErrorInfo,
    Forbidden,
    MethodNotAllowed,
    NoCapacity,
    OverLimit,
    QuotaExhausted,
    RateLimited,
    TimedOut,
    TooLarge,
    Unauthenticated,
    UnknownModel,
    Unrepresentable,
    UpstreamFailed,
)
from aiclient2api.keys.gauges import gauges as key_gauges
from aiclient2api.keys.limiter import KeyLimiter
from aiclient2api.ledger.gauges import gauges
from aiclient2api.ledger.ledger import Ledger
from aiclient2api.protocols.registry import converters
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.builtin import BUILTIN
from aiclient2api.server.routes import Routes
from aiclient2api.simulator.scenario import Fault, Match, parse_header
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.telemetry.counting import families
from aiclient2api.telemetry.metrics import KINDS, Metrics
from tests.docs.pages import PAGES, ROOT, anchors, blocks, code, links, read, rows, section

CONFIGURATION, PROVIDERS, OPERATIONS = "docs/configuration.md", "docs/providers.md", "docs/operations.md"
SOURCE = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py")))


# ---- configuration


def struct_in(type_: Any) -> type[Struct] | None:
    """The struct inside of `X | None`, `tuple[X, ...]` and `dict[str, X]`."""
    if isinstance(type_, type) and get_origin(type_) is None:
        return type_ if issubclass(type_, Struct) else None
    return next((found for inner in get_args(type_) if (found := struct_in(inner))), None)


def keys(type_: type[Struct], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a section and of the sections in it, as the page writes it."""
    for field in msgspec.structs.fields(type_):
        inner = struct_in(field.type)
        yield path + field.encode_name, field
        if inner is not None and inner is not TimeoutChanges:
            yield from keys(inner, f"{path}{field.encode_name}.")


SECTIONS: dict[str, type[Struct]] = {
    field.encode_name: struct_in(field.type) or AccountOptions for field in msgspec.structs.fields(Document)
}
"""The heading of each section, and its struct; accounts are the one that is read later."""
KEYS = [
    *((name, key, field) for name, type_ in SECTIONS.items() for key, field in keys(type_)),
    *(("providers", field.encode_name, field) for field in msgspec.structs.fields(Timeouts)),
]


@pytest.mark.parametrize(
    ("heading", "key", "field"), KEYS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_every_key_has_a_row_with_its_default(heading: str, key: str, field: FieldInfo) -> None:
    found = [row for row in rows(section(CONFIGURATION, f"`{heading}`")) if key in code(row[0])]
    assert found, f"{heading}.{key} is not in {CONFIGURATION}"
    default = shown(field)
    assert default is None or any(default in " ".join(row[1:3]) for row in found)


def shown(field: FieldInfo) -> str | None:
    """A default as the page writes it; None where it says it in words."""
    if field.default is NODEFAULT and field.default_factory is NODEFAULT:
        return "required" if field.encode_name not in ("provider",) else None
    match field.default:
        case bool() as value:
            return str(value).lower()
        case Duration() as value:
            return f"`{value:g}s`" if value >= 1 or not value else f"`{value * 1000:g}ms`"
        case Size() as value:
            return f"`{value // 1024**2}MiB`" if value >= 1024**2 else f"`{value // 1024}KiB`"
        case bool() | float() as value:
            return f"`{value}`"
        case int() | str() as value if value != "":
            return f"`{value}`"
        case _:
            return None


def test_nothing_on_the_page_is_unknown() -> None:
    known = {key for _, key, _ in KEYS} | {"Key", "Kind", "Variable"}
    for heading in SECTIONS:
        named = [name for row in rows(section(CONFIGURATION, f"`{heading}`")) for name in code(row[0])]
        assert set(named) <= known


WITHOUT_EFFECT: dict[str, Any] = {
    "log.prompts": {"log": {"prompts": True}},
}


@pytest.mark.parametrize("key", WITHOUT_EFFECT)
def test_what_is_said_to_have_no_effect_warns(key: str) -> None:
    account = {"accounts": {"a": {"provider": "openai", "api_key": "k"}}}
    config = build({**account, **WITHOUT_EFFECT[key]}, environ={})
    assert [warning.partition(": ")[0] for warning in config.warnings] == [key]
    assert key.rpartition(".")[2] in section(CONFIGURATION, "What parses but only warns today")


# ---- providers


@pytest.mark.parametrize("spec", BUILTIN, ids=lambda spec: spec.name)
def test_every_provider_has_a_row(spec: ProviderSpec) -> None:
    row = next(row for row in rows(read(PROVIDERS)) if code(row[0]) == [spec.name])
    assert code(row[4]) == list(spec.environment)
    settings = {"api_key": msgspec.UNSET, "base_url": "http://127.0.0.1:1"}
    given = {field.name for field in msgspec.structs.fields(spec.settings) if field.default is NODEFAULT}
    provider: Any = spec.build(
        spec.settings(**{name: value for name, value in settings.items() if name in given})
    )
    assert code(row[1])[: len(provider.protocols)] == list(provider.protocols) or row[1] == "all four"
    assert code(row[2]) == [provider.base_url] or "base_url" in given


@pytest.mark.parametrize("spec", BUILTIN, ids=lambda spec: spec.name)
def test_every_setting_of_a_provider_is_explained(spec: ProviderSpec) -> None:
    named = {name for row in rows(section(PROVIDERS, "Settings")) for name in code(row[1])}
    assert {field.encode_name for field in msgspec.structs.fields(spec.settings)} <= named


def test_the_variables_are_listed_with_the_configuration() -> None:
    named = set(code(section(CONFIGURATION, "Environment variables")))
    assert {variable for spec in BUILTIN for variable in spec.environment} <= named


# ---- command line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_row_with_its_options(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    options = {param.opts[0] for param in command.params if isinstance(param, click.Option)}
    row = next(
        row for row in rows(section(OPERATIONS, "Commands")) if row[0].startswith(f"`aiclient2api {name}")
    )
    assert {item.split()[0] for item in code(row[1])} == options


# ---- endpoints, headers, metrics


def documented_endpoints() -> list[tuple[str, str]]:
    """Method and path of every endpoint on the page; `:method` stands for the path before it with that method."""
    found: list[tuple[str, str]] = []
    for row in rows(section(OPERATIONS, "Endpoints"))[1:]:
        for item in code(row[0]):
            if item.startswith(":"):
                found.append((found[-1][0], found[-1][1].partition(":")[0] + item))
            elif " " in item:
                method, path = item.split()
                found.append((method, path))
    return found


def test_the_endpoints_are_those_of_the_route_table() -> None:
    table = Routes(converters(), ()).table
    documented = documented_endpoints()
    for route in table:
        assert any(route.method == method and route.path.fullmatch(path) for method, path in documented), (
            route
        )
    for method, path in documented:
        assert any(route.method == method and route.path.fullmatch(path) for route in table), path


def test_every_operation_of_a_gemini_path_is_documented() -> None:
    methods = {
        word for pattern in re.findall(r'_endpoint\("([A-Za-z|]+)"', SOURCE) for word in pattern.split("|")
    }
    assert methods == {path.partition(":")[2] for _, path in documented_endpoints() if ":" in path}


@pytest.mark.parametrize("header", sorted(set(re.findall(r'"(x-a2-[a-z]+)"', SOURCE))))
def test_every_header_of_ours_is_documented(header: str) -> None:
    assert header in section(OPERATIONS, "Response headers")


def test_every_metric_has_a_row_with_its_labels() -> None:
    metrics = Metrics()
    limiter = KeyLimiter(lambda: 0.0, lambda: 0.0)
    metrics.sources = [lambda: gauges(Ledger(None, lambda: 0.0)), lambda: key_gauges(limiter)]
    labels = {kind.name: kind.labels for kind in KINDS}
    table = {code(row[0])[0]: row for row in rows(section(OPERATIONS, "Metrics"))[1:]}
    shown = (*families(KINDS, metrics.tally.items()), *metrics.gauges(), *worker_metrics(2, 1, 1, {}))
    found = {f"{each.name}_total" if each.type == "counter" else each.name: each for each in shown}
    assert set(table) == set(found)
    for name, family in found.items():
        assert table[name][1] == family.type
        expected = labels.get(family.name)
        assert expected is None or tuple(code(table[name][2])) == expected


def test_every_field_of_the_request_line_is_documented() -> None:
    line = (ROOT / "src/aiclient2api/telemetry/log.py").read_text("utf-8").partition("def _fields(")[2]
    fields = re.findall(r'^        "(\w+)":', line, re.MULTILINE)
    assert len(fields) > 15
    assert set(fields) <= set(code(section(OPERATIONS, "Log")))


ERRORS: dict[str, ErrorInfo] = {
    "bad request": BadRequest().info,
    "content that cannot be converted": Unrepresentable().info,
    "context too long": ErrorInfo(kind="context_length", message="m"),
    "blocked by a policy": ErrorInfo(kind="content_policy", message="m"),
    "client key missing or unknown": Unauthenticated().info,
    "model not allowed to the key": Forbidden().info,
    "unknown model or path": UnknownModel().info,
    "wrong method": MethodNotAllowed().info,
    "body too slow": ClientTimeout().info,
    "body too large": TooLarge().info,
    "over a client key's limit": OverLimit().info,
    "rate limit, all cooling": RateLimited().info,
    "upstream quota spent": QuotaExhausted().info,
    "gateway's own fault": ErrorInfo(kind="internal", code="internal_error", message="m"),
    "upstream failed": UpstreamFailed().info,
    "upstream refused our credentials": CredentialsRejected().info,
    "nobody may serve, stopping": NoCapacity().info,
    "overloaded, at the gateway's limit": Busy().info,
    "upstream too slow": TimedOut().info,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_the_error_table_is_what_clients_get(kind: str) -> None:
    row = next(row for row in rows(section(OPERATIONS, "Errors")) if row[0] == kind)
    for cell, protocol in zip(row[1:], ("openai_chat", "anthropic", "gemini"), strict=True):
        answer = next(each for each in converters() if each.name == protocol).encode_error(ERRORS[kind])
        error = json.loads(answer.body)["error"]
        words = [error["status"]] if protocol == "gemini" else [error["type"]]
        words += [error["code"]] if protocol == "openai_chat" and error["code"] else []
        assert cell.startswith(f"{answer.status} ")
        assert set(words) <= set(code(cell)), words
        assert len(code(cell)) == len(words) or kind in (
            "unknown model or path",
            "nobody may serve, stopping",
            "context too long",
        )


def test_every_kind_of_table_row_is_checked() -> None:
    assert set(ERRORS) == {row[0] for row in rows(section(OPERATIONS, "Errors"))[1:]}


# ---- protocols


def features() -> list[str]:
    """The names that encoders give to losses; a name with a placeholder stands for its family."""
    calls = re.findall(r'\.(?:dropped|approximated|emulated|defaulted)\(\s*f?"([a-z_.{}]+)"', SOURCE)
    return sorted({name for name in calls if "{" not in name and not name.startswith("ext.")})


@pytest.mark.parametrize("feature", features())
def test_every_feature_of_the_loss_report_is_listed(feature: str) -> None:
    assert feature in code(section("docs/protocols.md", "Features"))


# ---- simulator


@pytest.mark.parametrize(
    ("type_", "heading"),
    [(Fault, "Faults by header"), (Match, "Faults by scenario"), (SimulatorSettings, "In Python")],
    ids=["Fault", "Match", "SimulatorSettings"],
)
def test_every_member_of_the_simulator_is_listed(type_: type[Struct], heading: str) -> None:
    named = {name for row in rows(section("docs/simulator.md", heading)) for name in code(row[0])}
    assert {field.name for field in msgspec.structs.fields(type_)} <= named


@pytest.mark.parametrize("line", re.findall(r"^x-sim-fault: (.*)$", read("docs/simulator.md"), re.MULTILINE))
def test_every_fault_header_is_understood(line: str) -> None:
    fault, _ = parse_header(line)
    assert fault != Fault()


# ---- links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in links(page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text("utf-8")), target


def test_there_are_examples_at_all() -> None:
    assert len(blocks("yaml")) >= 6
    assert len(blocks("python")) >= 5
