"""Requests that Chat clients send, each of which must survive."""

from __future__ import annotations

from typing import Any

from tests.protocols.openai_chat.chat_wire import chat

USER = {"role": "user", "content": "hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"t": 1.50}'}}
FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
CUSTOM = {
    "type": "custom",
    "custom": {
        "name": "sql",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
    },
}

ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "minimal": chat(USER),
    "content as one part": chat({"role": "user", "content": [{"type": "text", "text": "hi"}]}),
    "empty text": chat({"role": "user", "content": ""}),
    "empty list": chat({"role": "user", "content": []}),
    "empty text part": chat({"role": "user", "content": [{"type": "text", "text": ""}]}),
    "instructions anywhere": chat(
        {"role": "system", "content": "S"}, USER, {"role": "developer", "content": "D", "name": "n"}
    ),
    "names": chat({"role": "user", "content": "hi", "name": "Ann"}),
    "several users in a row": chat(USER, USER),
    "image url": chat(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            ],
        }
    ),
    "image data": chat(
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}],
        }
    ),
    "data url with parameters": chat(
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;a=b;base64,iVBO"}}],
        }
    ),
    "audio": chat(
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}}],
        }
    ),
    "files": chat(
        {
            "role": "user",
            "content": [
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
                },
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"file_data": "JVBE"}},
            ],
        }
    ),
    "video of compatible servers": chat(
        {
            "role": "user",
            "content": [{"type": "video_url", "video_url": {"url": "https://x/v.mp4", "fps": 2}}],
        }
    ),
    "unknown parts and members": chat(
        {
            "role": "user",
            "content": [{"type": "hologram", "depth": 1.50}, {"type": "text", "text": "x", "new": [1]}],
            "mood": {"a": 1},
        },
        future={"x": 1},
    ),
    "cache marks": chat(
        {
            "role": "system",
            "content": [
                {
                    "type": "text",
                    "text": "S",
                    "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"},
                },
                {"type": "text", "text": "T", "cache_control": {"type": "ephemeral"}},
            ],
        }
    ),
    "calls and results": chat(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL, CALL | {"id": "c" * 60}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        {"role": "tool", "tool_call_id": "c" * 60, "content": [{"type": "text", "text": "2"}]},
    ),
    "call with empty arguments": chat(
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
        }
    ),
    "assistant without content": chat({"role": "assistant", "tool_calls": [CALL]}),
    "custom call": chat(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        tools=[CUSTOM],
    ),
    "call of an unknown type": chat(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "robot", "robot": {"x": 1}}],
        }
    ),
    "unknown members of a call": chat(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}", "k": 1},
                    "z": 2,
                }
            ],
        }
    ),
    "refusals": chat(
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ),
    "spoken answer": chat({"role": "assistant", "audio": {"id": "audio_1"}}),
    "legacy functions": chat(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    ),
    "native reasoning details": chat(
        {
            "role": "assistant",
            "content": "x",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "t", "signature": "sig", "format": "anthropic-claude-v1"},
                {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "index": 1},
            ],
        }
    ),
    "tools": chat(
        USER,
        tools=[
            FUNCTION,
            CUSTOM,
            {"type": "function", "function": {"name": "g"}},
            {"type": "retrieval", "x": 1},
            {
                "type": "function",
                "function": {"name": "h", "x": 1},
                "cache_control": {"type": "ephemeral"},
                "y": 2,
            },
        ],
        tool_choice="required",
        parallel_tool_calls=False,
    ),
    "choose a function": chat(
        USER, tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "f"}}
    ),
    "choose a custom tool": chat(
        USER, tools=[CUSTOM], tool_choice={"type": "custom", "custom": {"name": "sql"}}
    ),
    "choose of a subset": chat(
        USER,
        tools=[FUNCTION],
        tool_choice={
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
        },
    ),
    "web search": chat(USER, web_search_options={"search_context_size": "low"}),
    "every setting": chat(
        USER,
        max_completion_tokens=10,
        temperature=0.2,
        top_p=0.9,
        top_k=40,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logit_bias={"50256": -100},
        seed=7,
        stop=["a", "b"],
        n=2,
        logprobs=True,
        top_logprobs=3,
        reasoning_effort="high",
        verbosity="low",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        prediction={"type": "content", "content": "x"},
        service_tier="flex",
        store=True,
        metadata={"a": "b"},
        safety_identifier="u1",
        prompt_cache_key="k",
        prompt_cache_options={"mode": "explicit"},
        prompt_cache_retention="24h",
        moderation={"model": "m"},
    ),
    "one stop string": chat(USER, stop="END"),
    "user only": chat(USER, user="u"),
    "user and safety identifier": chat(USER, user="u", safety_identifier="s"),
    "json object": chat(USER, response_format={"type": "json_object"}),
    "json schema": chat(
        USER,
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "n",
                "description": "d",
                "schema": {"type": "object", "x": 1.5},
                "strict": True,
            },
        },
    ),
    "unknown format and effort": chat(USER, response_format={"type": "yaml"}, reasoning_effort="colossal"),
    "thinking switched off": chat(USER, thinking={"type": "disabled"}),
    "thinking budget": chat(USER, thinking={"type": "enabled", "budget_tokens": 2000}),
    "thinking of an unknown form": chat(USER, thinking={"type": "enabled"}),
    "stream with usage": chat(
        USER, stream=True, stream_options={"include_usage": True, "include_obfuscation": False}
    ),
}
