"""`aiclient2api convert`: any message of one protocol as another, without a network.

The same converters as the gateway's, so what it prints is what an upstream or a client would get.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

import click
from msgspec import Struct

from aiclient2api.cli.losses import describe_all
from aiclient2api.cli.messages import PROTOCOLS, TENANT, carrier, client_request, factory
from aiclient2api.cli.output import print_json
from aiclient2api.errors import MalformedMessage, Unrepresentable
from aiclient2api.ir.events import Failure, StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.answer_report import AnswerReport
from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.carrier import SealingStream
from aiclient2api.protocols.conversion import Inbound, require_ends
from aiclient2api.protocols.conversion import Target as ConversionTarget
from aiclient2api.protocols.cut_calls import settled
from aiclient2api.protocols.error_losses import error_losses
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.providers.profiles import anthropic_profile, gemini_profile, openai_profile
from aiclient2api.wire.http import JSON_HEADERS, WireResponse

_PROFILES: Final[dict[str, Callable[[str, str], ModelProfile]]] = {
    "openai_chat": openai_profile,
    "openai_responses": openai_profile,
    "anthropic": anthropic_profile,
    "gemini": gemini_profile,
}
DEFAULT_MODEL: Final = "model"


class Job(Struct, frozen=True):
    """What is converted."""

    source: Converter
    target: Converter
    body: bytes
    model: str | None
    status: int


Converted = tuple[bytes, list[Loss], str]
"""The bytes, what got lost, and a line about what is not in the body."""


@click.command(short_help="Convert a message between protocols.")
@click.option(
    "--from", "source", type=click.Choice(PROTOCOLS), required=True, help="The protocol of the input."
)
@click.option(
    "--to", "target", type=click.Choice(PROTOCOLS), required=True, help="The protocol of the output."
)
@click.option(
    "--kind",
    type=click.Choice(["request", "response", "stream", "error"]),
    default="request",
    show_default=True,
    help="A client's request, or an upstream's answer.",
)
@click.option("--model", help="The model asked for [default: the input's].")
@click.option("--status", default=400, show_default=True, help="The HTTP status of an error.")
@click.option("--json", "as_json", is_flag=True, help="Print the loss report as JSON.")
@click.option("--explain", is_flag=True, help="Name the rule that decided each entry of the report.")
@click.argument("file", type=click.File("rb"), default="-")
def convert(
    source: str,
    target: str,
    kind: str,
    model: str | None,
    status: int,
    as_json: bool,
    explain: bool,
    file: BinaryIO,
) -> int:
    """Convert FILE (default: stdin) to stdout; the loss report goes to stderr."""
    converters = factory()
    job = Job(converters[source], converters[target], file.read(), model, status)
    try:
        converted, losses, note = _KINDS[kind](job)
    except (MalformedMessage, Unrepresentable) as error:
        raise click.ClickException(f"{source} {kind}: {error}") from None
    click.echo(converted, nl=kind != "stream")
    if as_json:
        print_json({"kind": kind, "from": source, "to": target, "note": note, "losses": losses}, err=True)
    else:
        click.echo("\n".join([*([note] if note else []), *describe_all(losses, explain=explain)]), err=True)
    return 0


def _request(job: Job) -> Converted:
    inbound = Inbound(job.source, client_request(job.source, job.body, job.model or DEFAULT_MODEL), TENANT)
    model = job.model or inbound.peek.model
    target = ConversionTarget(
        model=model, profile=_PROFILES.get(job.target.name, _default)(model, job.target.name), streams=False
    )
    conversion = factory().convert(inbound, job.target.name, target)
    request = conversion.request
    path = f"{request.path}?{request.query}" if request.query else request.path
    return request.body, conversion.losses, f"{request.method} {path}"


def _default(model: str, protocol: str) -> ModelProfile:
    return DEFAULT_PROFILE


def _response(job: Job) -> Converted:
    response = job.source.decode_response(WireResponse(status=200, body=job.body, headers=JSON_HEADERS))
    sealing, report = _sealing(job), AnswerReport(job.target.name)
    events = unfold(response)
    if _is_converted(job):
        require_ends(response)
        report.note_whole(response)
        events = list(settled(events, job.source.name, streamed=False))
        for event in events:
            report.note(event)
    sealed = fold((item for event in events for item in sealing.feed(event)), job.source.name)
    encoded = job.target.encode_response(sealed, _asked(job, response.model))
    return encoded.wire.body, [*sealing.losses, *report.losses, *encoded.losses], ""


def _stream(job: Job) -> Converted:
    sealing, report = _sealing(job), AnswerReport(job.target.name)
    encoder = job.target.stream_encoder(_asked(job, ""))
    out: list[bytes] = []
    events = settled(_events(job), job.source.name, streamed=True) if _is_converted(job) else _events(job)
    for event in events:
        if isinstance(event, Failure):
            out.append(encoder.fail(event.error))
            break
        if _is_converted(job):
            report.note(event)
        out.extend(encoder.feed(item) for item in sealing.feed(event))
    return b"".join(out), [*sealing.losses, *report.losses, *encoder.losses], ""


def _is_converted(job: Job) -> bool:
    """Within one protocol nothing of an answer is lost beside what its encoder says."""
    return job.source.name != job.target.name


def _error(job: Job) -> Converted:
    headers = JSON_HEADERS
    info = job.source.decode_error(WireResponse(status=job.status, body=job.body, headers=headers))
    response = job.target.encode_error(info)
    losses = error_losses(job.body, info, job.target.decode_error(response), job.target.name)
    lines = [f"HTTP {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
    return response.body, losses, "\n".join(lines)


_KINDS: Final[dict[str, Callable[[Job], Converted]]] = {
    "request": _request,
    "response": _response,
    "stream": _stream,
    "error": _error,
}


def _events(job: Job) -> Iterator[StreamEvent]:
    # Gemini streams a JSON array where the client did not ask for server-sent events
    is_array = job.body.lstrip()[:1] == b"["
    frames = job.source.frames("application/json" if is_array else "text/event-stream")
    decoder = job.source.stream_decoder()
    for frame in frames.feed(job.body):
        yield from decoder.feed(frame)
    if frames.close().strip():
        raise MalformedMessage("the stream ends within an event")
    yield from decoder.close()


def _asked(job: Job, model: str) -> ModelRequest:
    """The request that the answer is for: only its protocol and model matter here."""
    return ModelRequest(protocol=job.target.name, model=job.model or model or DEFAULT_MODEL, stream="sse")


def _sealing(job: Job) -> SealingStream:
    return SealingStream(carrier(), TENANT, job.target.slots)
