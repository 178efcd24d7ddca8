"""The words of the four upstream protocols: the pieces that scripts are made of, with a nonce in the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.faults.script import NONCE, Part

CHAT, RESPONSES, MESSAGES, GEMINI = PROTOCOLS = ("openai_chat", "openai_responses", "anthropic", "gemini")

PIECES: Final = (b"H\xc3\xa9llo " + NONCE, b" brave", " new world 🌍.".encode())
"""The text of every answer, as it is streamed."""
EMPTY_USAGE: Final = b'"usage":{"input_tokens":3,"output_tokens":0}'

Voice = Mapping[Part, Sequence[bytes]]
"""The events of each part."""


def text_of(nonce: str) -> str:
    """The text that a complete answer has."""
    return b"".join(PIECES).replace(NONCE, nonce.encode()).decode()


def _chat(delta: bytes, finish: bytes = b"null") -> bytes:
    return (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",'
        b'"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]}\n\n' % (delta, finish)
    )


_CHAT_USAGE: Final = b'"usage":{"prompt_tokens":3,"completion_tokens":7,"total_tokens":10}'
_CHAT_LAST: Final = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",'
    b'"choices":[],%b}\n\n' % _CHAT_USAGE
)
_CALL: Final = (
    b'{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}'
)
_CALL_PART: Final = b'{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\": \\"Par"}}]}'

_CHAT: Final[Voice] = {
    "prelude": (_chat(b'{"role":"assistant","content":""}'),),
    "content": (_chat(b'{"content":"%b"}' % PIECES[0]),),
    "more": tuple(_chat(b'{"content":"%b"}' % piece) for piece in PIECES[1:]),
    "finish": (_chat(b"{}", b'"stop"'),),
    "done": (_CHAT_LAST, b"data: [DONE]\n\n"),
    "late_usage": (b"data: [DONE]\n\n", _CHAT_LAST),
    "error": (b'data: {"error":{"message":"overloaded","type":"server_error","code":"overloaded","param":null}}\n\n',),
    "call": (_chat(_CALL),),
    "half_call": (_chat(_CALL_PART),),
    "ping": (b": keep-alive\n\n",),
    "empty": (_chat(b"{}", b'"stop"'), b"data: [DONE]\n\n"),
    "unary": (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"%b","refusal":null},"logprobs":null,"finish_reason":"stop"}],%b}'
        % (b"".join(PIECES), _CHAT_USAGE),
    ),
}  # fmt: skip


def _message(name: bytes, members: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b"%b}\n\n' % (name, name, members)


def _delta(text: bytes) -> bytes:
    return _message(b"content_block_delta", b',"index":0,"delta":{"type":"text_delta","text":"%b"}' % text)


_START: Final = _message(
    b"message_start",
    b',"message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"m","stop_reason":null,'
    b'"stop_sequence":null,%b}' % EMPTY_USAGE,
)
_BLOCK: Final = _message(b"content_block_start", b',"index":0,"content_block":{"type":"text","text":""}')
_MESSAGE_DELTA: Final = _message(
    b"message_delta", b',"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}'
)

_MESSAGES: Final[Voice] = {
    "prelude": (_START, _BLOCK),
    "content": (_delta(PIECES[0]),),
    "more": tuple(_delta(piece) for piece in PIECES[1:]),
    "finish": (_message(b"content_block_stop", b',"index":0'), _MESSAGE_DELTA),
    "done": (_message(b"message_stop", b""),),
    "late_usage": (_message(b"message_stop", b""), _MESSAGE_DELTA),
    "error": (_message(b"error", b',"error":{"type":"overloaded_error","message":"Overloaded"}'),),
    "call": (
        _message(
            b"content_block_start",
            b',"index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}',
        ),
    ),
    "half_call": (
        _message(
            b"content_block_delta",
            b',"index":1,"delta":{"type":"input_json_delta","partial_json":"{\\"city\\": \\"Par"}',
        ),
    ),
    "ping": (_message(b"ping", b""),),
    "empty": (_MESSAGE_DELTA.replace(b'{"output_tokens":7}', b'{"output_tokens":0}'), _message(b"message_stop", b"")),
    "unary": (
        b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"%b"}],'
        b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":7}}'
        % b"".join(PIECES),
    ),
}  # fmt: skip


def _event(name: bytes, number: int, members: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n' % (name, name, number, members)


def _response(status: bytes, output: bytes, usage: bytes = b"null") -> bytes:
    return (
        b'{"id":"resp_1","object":"response","created_at":1700000000,"status":"%b","error":null,'
        b'"incomplete_details":null,"instructions":null,"max_output_tokens":null,"metadata":{},"model":"m",'
        b'"output":[%b],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,'
        b'"summary":null},"store":false,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto",'
        b'"tools":[],"top_p":1.0,"truncation":"disabled","usage":%b,"user":null}' % (status, output, usage)
    )


_AT: Final = b'"item_id":"msg_1","output_index":0,"content_index":0'
_RESPONSES_USAGE: Final = (
    b'{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":7,'
    b'"output_tokens_details":{"reasoning_tokens":0},"total_tokens":10}'
)


def _item(status: bytes, content: bytes) -> bytes:
    return b'{"id":"msg_1","type":"message","status":"%b","role":"assistant","content":[%b]}' % (
        status,
        content,
    )


def _output_text(text: bytes) -> bytes:
    return b'{"type":"output_text","text":"%b","annotations":[],"logprobs":[]}' % text


def _responses_done(number: int, output: bytes) -> bytes:
    return _event(
        b"response.completed", number, b'"response":%b' % _response(b"completed", output, _RESPONSES_USAGE)
    )


_TEXT: Final = b"".join(PIECES)
_ITEM: Final = _item(b"completed", _output_text(_TEXT))
_CALL_ITEM: Final = b'{"id":"fc_1","type":"function_call","status":"in_progress","call_id":"call_1","name":"f","arguments":""}'

_RESPONSES: Final[Voice] = {
    "prelude": (
        _event(b"response.created", 0, b'"response":%b' % _response(b"in_progress", b"")),
        _event(b"response.in_progress", 1, b'"response":%b' % _response(b"in_progress", b"")),
        _event(b"response.output_item.added", 2, b'"output_index":0,"item":%b' % _item(b"in_progress", b"")),
        _event(b"response.content_part.added", 3, b'%b,"part":%b' % (_AT, _output_text(b""))),
    ),
    "content": (_event(b"response.output_text.delta", 4, b'%b,"delta":"%b","logprobs":[]' % (_AT, PIECES[0])),),
    "more": tuple(
        _event(b"response.output_text.delta", number, b'%b,"delta":"%b","logprobs":[]' % (_AT, piece))
        for number, piece in enumerate(PIECES[1:], 5)
    ),
    "finish": (
        _event(b"response.output_text.done", 7, b'%b,"text":"%b","logprobs":[]' % (_AT, _TEXT)),
        _event(b"response.content_part.done", 8, b'%b,"part":%b' % (_AT, _output_text(_TEXT))),
        _event(b"response.output_item.done", 9, b'"output_index":0,"item":%b' % _ITEM),
    ),
    "done": (_responses_done(10, _ITEM),),
    "late_usage": (_responses_done(10, _ITEM), _event(b"response.usage", 11, b'"usage":%b' % _RESPONSES_USAGE)),
    "error": (_event(b"error", 5, b'"code":"server_is_overloaded","message":"Overloaded","param":null'),),
    "call": (_event(b"response.output_item.added", 5, b'"output_index":1,"item":%b' % _CALL_ITEM),),
    "half_call": (
        _event(
            b"response.function_call_arguments.delta",
            6,
            b'"item_id":"fc_1","output_index":1,"delta":"{\\"city\\": \\"Par"',
        ),
    ),
    "ping": (b": keep-alive\n\n",),
    "empty": (_responses_done(4, b"").replace(b'"output_tokens":7', b'"output_tokens":0'),),
    "unary": (_response(b"completed", _ITEM, _RESPONSES_USAGE),),
}  # fmt: skip


def _gemini(text: bytes | None, extra: bytes = b"") -> bytes:
    content = b'"content":{"parts":[{"text":"%b"}],"role":"model"},' % text if text is not None else b""
    return (
        b'data: {"candidates":[{%b"index":0%b}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":7,'
        b'"totalTokenCount":10},"modelVersion":"m","responseId":"r_1"}\r\n\r\n' % (content, extra)
    )


_STOP: Final = b',"finishReason":"STOP"'

_GEMINI: Final[Voice] = {
    "prelude": (_gemini(b""),),
    "content": (_gemini(PIECES[0]),),
    "more": (_gemini(PIECES[1]), _gemini(PIECES[2])),
    "finish": (_gemini(b"", _STOP),),
    "done": (),
    "late_usage": (),
    "error": (
        b'data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}\r\n\r\n',
    ),
    "call": (),
    "half_call": (),
    "ping": (b": keep-alive\r\n\r\n",),
    "empty": (_gemini(None, _STOP).replace(b'"candidatesTokenCount":7,', b""),),
    "unary": (_gemini(_TEXT, _STOP).removeprefix(b"data: ").rstrip(),),
}

VOICES: Final[Mapping[str, Voice]] = {
    CHAT: _CHAT,
    RESPONSES: _RESPONSES,
    MESSAGES: _MESSAGES,
    GEMINI: _GEMINI,
}
