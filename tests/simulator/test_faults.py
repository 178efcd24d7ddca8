from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from aiclient2api.simulator import Fault, Rule, Scenario, ScenarioError, Simulator
from aiclient2api.simulator.scenario import parse_header

from .conftest import Served
from .dialects import CHAT, DIALECTS, GEMINI, MESSAGES, RESPONSES, Dialect, sse
from .rig import Response, call, simulator

PROMPT = {"prompt": "one two three"}


async def ask(app: Simulator, dialect: Dialect = CHAT, *, stream: bool = False, header: str = "") -> Response:
    headers = dialect.headers | ({"x-sim-fault": header} if header else {})
    return await call(app, dialect.url(stream=stream), dialect.request(PROMPT, stream=stream), headers)


async def over_the_wire(url: str, dialect: Dialect, header: str, *, stream: bool = True) -> bytes:
    """Everything the server sends before it closes."""
    reader, writer = await connect(url, dialect, header, stream=stream)
    try:
        return await reader.read()
    finally:
        writer.close()


async def connect(
    url: str, dialect: Dialect, header: str = "", *, stream: bool = True
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(dialect.request(PROMPT, stream=stream)).encode()
    headers = dialect.headers | {"host": host, "content-length": str(len(body))}
    headers |= {"x-sim-fault": header} if header else {}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST {dialect.url(stream=stream)} HTTP/1.1\r\n{head}\r\n".encode() + body)
    await writer.drain()
    return reader, writer


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something has happened."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


ERRORS: list[tuple[Dialect, str, int, dict[str, Any]]] = [
    (CHAT, "status=429", 429, {"message": "Rate limit reached. Please slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}),
    (CHAT, "status=429; code=insufficient_quota; message=no money", 429, {"message": "no money", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}),
    (RESPONSES, "status=500", 500, {"message": "Internal server error.", "type": "server_error", "param": None, "code": None}),
    (MESSAGES, "status=529", 529, {"type": "overloaded_error", "message": "Overloaded"}),
    (MESSAGES, "status=429; code=enforced_spend_limit_reached", 429, {"type": "rate_limit_error", "message": "Rate limit reached. Please slow down.", "details": {"error_code": "enforced_spend_limit_reached"}}),
    (MESSAGES, "status=401", 401, {"type": "authentication_error", "message": "invalid x-api-key"}),
    (GEMINI, "status=401", 401, {"code": 401, "message": "API key not valid. Please pass a valid API key.", "status": "UNAUTHENTICATED"}),
    (GEMINI, "status=400; code=API_KEY_INVALID", 400, {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]}),
    (GEMINI, "status=503", 503, {"code": 503, "message": "The service is overloaded. Please try again later.", "status": "UNAVAILABLE"}),
    (GEMINI, "status=429; retry-after=12.5", 429, {"code": 429, "message": "Rate limit reached. Please slow down.", "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "header", "status", "error"), ERRORS)
async def test_a_status_has_the_providers_own_form(
    dialect: Dialect, header: str, status: int, error: dict[str, Any]
) -> None:
    response = await ask(simulator(), dialect, header=header)
    assert (response.status, response.json["error"]) == (status, error)


async def test_an_array_stream_wraps_its_error() -> None:
    body = GEMINI.request(PROMPT)
    path = "/v1beta/models/m:streamGenerateContent"
    failed = await call(simulator(), path, body, GEMINI.headers | {"x-sim-fault": "status=503"})
    refused = await call(simulator(), path, {}, GEMINI.headers)
    assert failed.json[0]["error"]["status"] == "UNAVAILABLE"
    assert refused.json[0]["error"]["status"] == "INVALID_ARGUMENT"


async def test_an_array_stream_is_one_json_document() -> None:
    path = "/v1beta/models/m:streamGenerateContent"
    response = await call(simulator(), path, GEMINI.request(PROMPT), GEMINI.headers)
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    parts = [part["text"] for chunk in response.json for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(parts) == "You said: one two three"


async def test_retry_after_is_sent() -> None:
    response = await ask(simulator(), header="status=529; retry-after=3")
    assert response.headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "body"),
    [
        (Fault(html=True, status=502), 502, "text/html", b"<html>"),
        (Fault(html=True), 200, "text/html", b"<html>"),
        (Fault(empty=True), 200, "application/json", b""),
        (Fault(body="nonsense", content_type="text/plain"), 200, "text/plain", b"nonsense"),
        (Fault(body={"error": {"message": "x"}}), 200, "application/json", b'{"error":{"message":"x"}}'),
        (Fault(content_type="text/plain"), 200, "text/plain", b'{"id"'),
    ],
    ids=["html", "html with 200", "empty", "text", "error with 200", "another type"],
)
async def test_an_answer_can_be_replaced(fault: Fault, status: int, content_type: str, body: bytes) -> None:
    app = simulator()
    app.scenario.add(Rule(fault=fault))
    response = await ask(app)
    assert (response.status, response.headers["content-type"]) == (status, content_type)
    assert response.body.startswith(body)


async def test_a_header_fault_ends_after_its_times() -> None:
    app = simulator()
    statuses = [(await ask(app, header="status=529; times=2")).status for _ in range(4)]
    assert statuses == [529, 529, 200, 200]


@pytest.mark.parametrize("header", ["status=abc", "nonsense=1", "times=x", "malformed=oddly"])
async def test_a_header_that_makes_no_sense_is_refused(header: str) -> None:
    response = await ask(simulator(), header=header)
    assert response.status == 400
    assert response.json["error"]["message"].startswith("x-sim-fault: ")


def test_a_header_names_any_member() -> None:
    fault, times = parse_header("stall-after-events=3; drop-usage; delay=0.5;times=1")
    assert fault == Fault(stall_after_events=3, drop_usage=True, delay=0.5)
    assert times == 1


async def test_the_first_rule_that_applies_wins() -> None:
    scenario = Scenario.load(
        """
        - match: {key: other}
          fault: {status: 401}
        - match: {protocol: openai_chat, model: m, prompt: two, path: /v1/chat, nth: 2}
          fault: {status: 500}
        - match: {key: key}
          times: 1
          fault: {status: 429}
        """
    )
    app = Simulator(simulator().settings, scenario)
    statuses = [(await ask(app)).status for _ in range(4)]
    assert statuses == [429, 500, 200, 200]
    assert (await ask(app, MESSAGES)).status == 200


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- fault: {statuss: 1}", "Object contains unknown field `statuss` - at `$[0].fault`"),
        ("- match: {}", "Object missing required field `fault` - at `$[0]`"),
        ("- fault: {status: many}", "Expected `int | null`, got `str` - at `$[0].fault.status`"),
        ("fault: {}", "Expected `array`, got `object`"),
        ("- match: {protocol: soap}\n  fault: {}", "Invalid enum value 'soap' - at `$[0].match.protocol`"),
        ("[", "not valid YAML"),
    ],
)
def test_a_scenario_that_makes_no_sense_says_where(text: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as wrong:
        Scenario.load(text)
    assert str(wrong.value).startswith(problem)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_the_end_of_a_stream_can_be_missing(dialect: Dialect) -> None:
    response = await ask(simulator(), dialect, stream=True, header="no-terminal")
    for mark in (
        b"[DONE]",
        b"response.completed",
        b"message_stop",
        b"finishReason",
        b'"finish_reason":"stop"',
    ):
        assert mark not in response.body
    assert b"three" in response.body


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_usage_can_be_missing(dialect: Dialect, stream: bool) -> None:
    response = await ask(simulator(), dialect, stream=stream, header="drop-usage")
    assert b"_tokens" not in response.body.replace(b'"max_output_tokens":null', b"")
    assert b"TokenCount" not in response.body


@pytest.mark.parametrize(
    ("dialect", "error"),
    [
        (CHAT, {"error": {"message": "Overloaded", "type": "server_error", "param": None, "code": None}}),
        (
            RESPONSES,
            {"type": "error", "sequence_number": 3, "code": None, "message": "Overloaded", "param": None},
        ),
        (GEMINI, {"error": {"code": 529, "message": "Overloaded", "status": "UNAVAILABLE"}}),
    ],
    ids=lambda value: value.name if isinstance(value, Dialect) else "",
)
async def test_a_stream_can_fail_with_an_event(dialect: Dialect, error: Any) -> None:
    response = await ask(simulator(), dialect, stream=True, header="error-event-after-events=3")
    events = sse(response.body)
    assert len(events) == 4
    assert events[-1][1] == error


async def test_a_message_stream_can_fail_with_an_event() -> None:
    response = await ask(
        simulator(), MESSAGES, stream=True, header="error-event-after-events=3; status=500; message=oh"
    )
    name, data = sse(response.body)[-1]
    assert (name, data["error"]) == ("error", {"type": "api_error", "message": "oh"})


async def test_an_array_stream_can_fail_with_a_chunk() -> None:
    headers = GEMINI.headers | {"x-sim-fault": "error-event-after-events=2"}
    path = "/v1beta/models/m:streamGenerateContent"
    response = await call(simulator(), path, GEMINI.request(PROMPT), headers)
    assert len(response.json) == 3
    assert response.json[-1]["error"]["code"] == 529


@pytest.mark.parametrize("how", ["half_event", "broken_json", "invalid_utf8"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_an_event_can_be_malformed(dialect: Dialect, how: str) -> None:
    good = await ask(simulator(), dialect, stream=True)
    response = await ask(
        simulator(), dialect, stream=True, header=f"malformed-after-events=4; malformed={how}"
    )
    blank = b"\r\n\r\n" if dialect is GEMINI else b"\n\n"
    wanted, found = good.body.split(blank), response.body.split(blank)
    assert found[:4] == wanted[:4]
    assert found[4] != wanted[4]
    assert (len(found) == 5) == (how == "half_event")
    if how == "invalid_utf8":
        with pytest.raises(UnicodeDecodeError):
            found[4].decode()


@pytest.mark.parametrize("how", ["half_event", "broken_json", "invalid_utf8"])
async def test_a_whole_answer_can_be_malformed(how: str) -> None:
    response = await ask(simulator(), header=f"malformed-after-events=0; malformed={how}")
    assert response.headers["content-length"] == str(len(response.body))
    with pytest.raises(ValueError, match=r".+"):
        json.loads(response.body)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_stream_can_be_cut(served: Served, dialect: Dialect) -> None:
    received = await over_the_wire(served.url, dialect, "cut-after-events=3")
    assert not received.endswith(b"0\r\n\r\n")
    assert received.count(b"data: ") == 3
    assert served.app.open_streams == 0


async def test_a_whole_answer_can_be_cut(served: Served) -> None:
    received = await over_the_wire(served.url, CHAT, "cut-after-events=0", stream=False)
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"content-length: {2 * len(body)}".encode()[:-1] in head.lower()


@pytest.mark.parametrize("header", ["reset", "cut-after-events=2; reset"])
async def test_a_connection_can_be_reset(served: Served, header: str) -> None:
    with pytest.raises(ConnectionResetError):
        await over_the_wire(served.url, CHAT, header)


async def test_a_stalled_stream_waits_for_its_client(served: Served) -> None:
    reader, writer = await connect(served.url, CHAT, "stall-after-events=2")
    received = b""
    while received.count(b"data: ") < 2:
        received += await reader.read(4096)
    assert served.app.open_streams == 1
    writer.close()
    await until(lambda: served.app.open_streams == 0)
    assert served.app.closed_early == 1


async def test_a_client_that_leaves_during_the_delay_is_noticed(served: Served) -> None:
    _, writer = await connect(served.url, CHAT, "delay=60", stream=False)
    await until(lambda: len(served.app.requests) == 1)
    writer.close()
    await until(lambda: served.app.closed_early == 1)


async def test_a_client_that_leaves_in_its_own_request_is_noticed(served: Served) -> None:
    host, _, port = served.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    await until(lambda: served.app.connections == 1)
    writer.close()
    await until(lambda: served.app.closed_early == 1)


async def test_a_paced_stream_ends_when_its_client_leaves(served: Served) -> None:
    served.app.settings = type(served.app.settings)(interval=60.0)
    reader, writer = await connect(served.url, MESSAGES)
    assert b"200" in await reader.readline()
    await until(lambda: served.app.open_streams == 1)
    writer.close()
    await until(lambda: served.app.open_streams == 0)
    assert served.app.closed_early == 1


async def test_requests_and_connections_are_remembered(served: Served) -> None:
    await over_the_wire(served.url, CHAT, "cut-after-events=1")
    await over_the_wire(served.url, CHAT, "cut-after-events=1")
    assert served.app.connections == 2
    first = served.app.requests[0]
    assert (first.method, first.path, first.key, first.model) == ("POST", "/v1/chat/completions", "key", "m")
    assert first.headers["x-sim-fault"] == "cut-after-events=1"
    assert json.loads(first.body)["stream"] is True


async def test_only_the_last_thousand_requests_are_remembered() -> None:
    app = simulator()
    for _ in range(1005):
        await call(app, "/v1/models", headers=CHAT.headers, method="GET")
    assert len(app.requests) == 1000
