"""How a feature looks on the wire where the model is restricted: another member, the smaller dialect, or nothing to say."""

from __future__ import annotations

from typing import Any, Final

from aiclient2api.protocols.profile import ModelProfile
from tests.laws.atoms import get
from tests.laws.native import AM, GG, OC
from tests.laws.plain import Doc
from tests.laws.words import exact

RESTRICTIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "sampling": ("takes no temperature, `top_p`, `top_k`", {"sampling": False}),
    "stop": ("takes no stop sequences", {"stop": False}),
    "budget": ("thinks by a budget of tokens instead of an effort", {"thinking": "budget"}),
    "no thinking": ("does not think", {"thinking": "none"}),
    "always thinks": ("cannot be told not to think", {"thinking_off": False}),
    "forced tools": ("cannot be forced to call a tool", {"forced_tool_choice": False}),
    "system inside": ("Claude: takes no system text inside the conversation", {"mid_system": False}),
    "prefill": ("does not continue an assistant's message", {"prefill": False}),
    "call ids": ("Gemini: has no ids of calls", {"call_ids": False}),
    "JSON Schema": ("Gemini: knows the OpenAPI subset of schemas only", {"json_schema": False}),
    "media in results": ("Gemini: takes no images and files in results", {"tool_result_media": False}),
    "max_tokens": ("Chat: a compatible server, which knows older members only", {"max_tokens_field": "max_tokens"}),
    "developer": ("Chat: does not know the developer's role", {"developer_role": False}),
    "thoughts": ("Chat: does not read `reasoning_content`", {"reasoning_content": False}),
    "2026-10-21": ("Claude: speaks the dialect 2026-10-21", {"anthropic_version": "2026-10-21"}),
}  # fmt: skip
"""What real models do not take, one at a time, beside a model that takes everything."""


def arrived_otherwise(feature: str, value: Any, upstream: str, doc: Doc, profile: ModelProfile) -> bool:
    """Whether a feature that its usual predicate does not find is there in the form for this model."""
    if profile.thinking == "none" and feature in ("reasoning.off", "reasoning.show"):
        return True  # there are no thoughts to switch off or to show
    if upstream == OC:
        older = {"max_output": "max_tokens", "user": "user"}
        return feature in older and get(doc, older[feature]) == value
    if upstream == AM and feature == "reasoning.show" and profile.thinking == "budget":
        # no room for it, which the report says of how much was asked for
        return "thinking" not in doc
    if upstream == GG and feature == "reasoning.effort" and profile.thinking == "budget":
        return isinstance(get(doc, "generationConfig.thinkingConfig.thinkingBudget"), int)
    if upstream == GG and feature.startswith("tool_result") and not profile.call_ids:
        return isinstance(value, dict) and _answered(doc) >= sorted(value.values())
    if upstream == GG and feature == "tool.function" and not profile.json_schema:
        return any(_same_function(one, value) for one in _declared(doc))
    return False


def _answered(doc: Doc) -> list[str]:
    """The results by their place, where calls have no ids."""
    parts = [part for turn in doc["contents"] for part in turn["parts"]]
    told = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    return sorted(str(one.get("result", one.get("output", exact(one)))) for one in told)


def _declared(doc: Doc) -> list[Doc]:
    return [one for tool in doc.get("tools") or () for one in tool.get("functionDeclarations") or ()]


def _same_function(found: Doc, value: Any) -> bool:
    name, description, schema = value
    wanted, got = openapi(schema), openapi(found.get("parameters"))
    is_same = wanted == got or (not got and wanted == {"type": "object", "properties": {}})
    return (found["name"], found.get("description")) == (name, description) and is_same


def openapi(schema: Any) -> Any:
    """A schema in one spelling for both dialects: small types, `enum` for `const`, `nullable` for a null type."""
    if isinstance(schema, list):
        return [openapi(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: openapi(one) for key, one in schema.items() if key != "propertyOrdering"}
    if "const" in out:
        out["enum"] = [out.pop("const")]
        out.setdefault("type", {str: "string", bool: "boolean", int: "integer"}.get(type(out["enum"][0])))
    kinds = out.get("type")
    if isinstance(kinds, list) and "null" in kinds and len(kinds) == 2:
        out |= {"type": next(one for one in kinds if one != "null"), "nullable": True}
    either = out.get("anyOf")
    if isinstance(either, list) and {"type": "null"} in either and len(either) == 2:
        del out["anyOf"]
        out |= {**next(one for one in either if one != {"type": "null"}), "nullable": True}
    if isinstance(out.get("type"), str):
        out["type"] = out["type"].lower()
    return out
