"""Requests that Responses clients send, each of which must survive."""

from __future__ import annotations

from typing import Any

PNG = "data:image/png;base64,iVBO"
SCHEMA = {"type": "object", "properties": {"t": {"type": "number", "default": 1.5}}}

ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "text input": {"model": "m", "input": "hi"},
    "no input": {"model": "m", "prompt": {"id": "pmpt_1", "version": "2"}},
    "empty input": {"model": "m", "input": []},
    "instructions": {"model": "m", "instructions": "be brief", "input": "hi"},
    "easy messages": {
        "model": "m",
        "input": [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": [{"type": "input_text", "text": "d"}]},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": []},
        ],
    },
    "typed messages": {
        "model": "m",
        "input": [
            {"type": "message", "role": "user", "content": "hi"},
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "phase": "commentary",
                "content": [
                    {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                    {"type": "output_text", "text": "b"},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            {"type": "message", "id": "msg_2", "role": "assistant", "content": []},
        ],
    },
    "media": {
        "model": "m",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "see", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "input_image", "image_url": PNG, "detail": "high"},
                    {"type": "input_image", "image_url": "https://a/b.png"},
                    {"type": "input_image", "file_id": "file_1", "detail": "auto"},
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBE",
                    },
                    {"type": "input_file", "file_data": "JVBE"},
                    {"type": "input_file", "file_url": "https://a/b.pdf", "detail": "low"},
                    {"type": "input_file", "file_id": "file_2"},
                    {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
                    {"type": "input_hologram", "data": 1.50},
                ],
            }
        ],
    },
    "tools in the history": {
        "model": "m",
        "input": [
            {"role": "user", "content": "go"},
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}],
                "encrypted_content": "gAAA",
            },
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "call_1",
                "name": "f",
                "arguments": '{"t":1.50}',
                "status": "completed",
                "caller": {"type": "direct"},
            },
            {
                "type": "custom_tool_call",
                "call_id": "call_2",
                "name": "g",
                "input": "SELECT 1",
                "namespace": "n",
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
            {
                "type": "custom_tool_call_output",
                "call_id": "call_2",
                "output": [{"type": "input_text", "text": "t"}, {"type": "input_image", "image_url": PNG}],
            },
            {"type": "function_call_output", "name": "h", "output": "by name"},
            {"role": "user", "content": "next"},
        ],
    },
    "raw reasoning": {
        "model": "m",
        "input": [
            {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "R"}],
                "status": "completed",
            },
            {"type": "reasoning", "id": "rs_2", "summary": [], "content": []},
        ],
    },
    "hosted and steering items": {
        "model": "m",
        "input": [
            {"type": "configuration_update", "reasoning": {"effort": "low"}},
            {"role": "user", "content": "go"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "q"}},
            {"type": "item_reference", "id": "msg_9"},
            {"id": "msg_8"},
            {"type": "shell_call", "id": "sh_1", "call_id": "c", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "c", "output": []},
            {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
            {"type": "compaction", "encrypted_content": "gBBB"},
            {"type": "telepathy", "number": 1.50},
        ],
    },
    "all settings": {
        "model": "m",
        "input": "hi",
        "max_output_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs", "web_search_call.results"],
        "reasoning": {"effort": "high", "summary": "detailed", "mode": "pro", "context": "all_turns"},
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
            "verbosity": "low",
            "tone": "dry",
        },
        "parallel_tool_calls": False,
        "max_tool_calls": 3,
        "truncation": "auto",
        "store": False,
        "previous_response_id": "resp_1",
        "background": False,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "safety_identifier": "u",
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        "moderation": {"model": "omni"},
        "a_new_member": 1.5,
    },
    "other words for the same": {
        "model": "m",
        "input": "hi",
        "user": "u",
        "conversation": {"id": "conv_1"},
        "reasoning": {"generate_summary": "auto", "effort": "galactic"},
        "text": {"format": {"type": "json_object"}},
    },
    "an unknown format": {"model": "m", "input": "hi", "text": {"format": {"type": "grammar"}}},
    "tools": {
        "model": "m",
        "input": "hi",
        "tools": [
            {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True, "description": "d"},
            {"type": "function", "name": "g", "defer_loading": True, "output_schema": SCHEMA},
            {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark"}},
            {"type": "web_search_2025_08_26", "filters": {"allowed_domains": ["a.b"]}},
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "mcp", "server_label": "x"}],
        },
    },
    "one tool": {"model": "m", "input": "hi", "tool_choice": {"type": "custom", "name": "sql"}},
    "a hosted tool": {"model": "m", "input": "hi", "tool_choice": {"type": "web_search"}},
    "no tool": {"model": "m", "input": "hi", "tool_choice": "none"},
}
