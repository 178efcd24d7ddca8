"""An upstream's complete answer."""

from __future__ import annotations

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse
from aiclient2api.protocols.anthropic.decode_parts import decode_blocks
from aiclient2api.protocols.anthropic.ext import keep
from aiclient2api.protocols.anthropic.finish import decode_finish
from aiclient2api.protocols.anthropic.schema import NAME
from aiclient2api.protocols.anthropic.usage import decode_usage
from aiclient2api.wire.http import WireResponse
from aiclient2api.wire.json import Members


def decode_response(response: WireResponse) -> ModelResponse:
    """An upstream's message, or its answer to `count_tokens`. Raises MalformedMessage."""
    members = Members.parse(response.body)
    kind = members.take("type", str)
    if kind is None and "input_tokens" in members:
        return ModelResponse(protocol=NAME, id="", model="", usage=decode_usage(members)[0])
    if kind != "message":
        raise MalformedMessage("must be message", "type")
    members.raw("role")
    content = members.array("content")
    if content is None:
        raise MalformedMessage("is required", "content")
    counts = members.object("usage")
    usage, tier = decode_usage(counts) if counts else (None, None)
    turn = Turn(role="assistant", parts=decode_blocks(content, "content"))
    finish = decode_finish(members) or Finish(reason="unknown")
    return ModelResponse(
        protocol=NAME,
        id=members.take("id", str) or "",
        model=members.take("model", str) or "",
        candidates=[Candidate(turn=turn, finish=finish)],
        usage=usage,
        tier=tier,
        ext=keep(members),
    )
