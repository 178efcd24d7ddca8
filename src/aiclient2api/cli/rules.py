"""Which rule decided an entry of the loss report, for `convert --explain`."""

from __future__ import annotations

from typing import Final

from aiclient2api.ir.loss import Act, Loss

_ACTS: Final[dict[Act, str]] = {
    "dropped": "no loss is silent: what the target has no place for is named; strict mode refuses it",
    "approximated": "the nearest value is sent and named; strict mode refuses it",
    "emulated": "the same effect by other means",
    "carried": "what only its own provider reads travels sealed in a slot that the client gives back",
    "side_table": "what only its own provider reads is kept by tool-call id",
    "defaulted": "the target requires a value and the source had none",
}
_RULES: Final[dict[str, str]] = {
    "system": "system text keeps its place: moving it to the front would change the prefix of earlier turns",
    "message": "names and empty messages exist only where the protocol has them; a phase travels sealed",
    "part.order": "an answer keeps the order of its parts where the protocol has one list of them",
    "media": "media are never transcoded or fetched; content without a form is refused, words about it are not",
    "citation": "a source is told where the target can cite it, else it travels sealed; offsets are never made up",
    "refusal": "a refusal is a refusal where the protocol has one, else text",
    "logprobs": "probabilities only exist where the model gave them and the protocol shows them",
    "tool_call.id": "an id that the target does not take becomes a digest of it, the same in call and result",
    "tool_call": "arguments are exact text; what is no JSON object is wrapped and unwrapped",
    "tool_result": "results keep their text; flags and forms only where the protocol has them",
    "tool_choice": "a model that cannot be forced is left free, and all tools stay, for the prompt cache's sake",
    "tool.schema": "schemas are spliced verbatim unless the target refuses a keyword",
    "tool.namespace": "a namespace becomes the beginning of its tools' names, and itself again in their calls",
    "tool.hosted": "a hosted tool runs at its own provider only; its blocks travel sealed, others get a short text",
    "tool": "declarations are exact where the protocol has them, else a function that does the same",
    "parallel_tools": "calls of a model are never truncated to obey a setting the target lacks",
    "reasoning.opaque": "a signature goes back to whoever made it, unchanged, and to nobody else",
    "reasoning": "effort, budget and level are converted by a table; a model's limits are in its profile",
    "sampling": "a setting that the protocol or the model refuses is left out, never guessed",
    "max_output": "a required limit is the model's own maximum",
    "output": "a form of answer that the target cannot enforce is left out or sent as a schema",
    "cache": "cache marks beyond the target's number are left out from the front; lifetimes are the nearest",
    "finish": "an end is told in the client's words; a broken answer never looks complete",
    "usage": "counts keep the sum law; none is invented where a member may be absent",
    "count_tokens": "an upstream that offers no count leaves an estimate, never presented as exact",
    "embedding": "vectors go digit by digit; tasks and titles only where the protocol has them",
    "state": "nothing is stored here, so nothing claims to be",
    "tier": "service tiers are converted where they mean the same",
    "ext": "members of one protocol stay with it",
    "headers": "headers of one protocol stay with it",
    "control": "what steers a conversation goes along where the target can be told the same",
}


def rule_of(loss: Loss) -> str:
    """The rule for the feature, most specific first, else the one for what was done."""
    name = loss.feature
    while name:
        if name in _RULES:
            return _RULES[name]
        name = name.rpartition(".")[0]
    family = next((rule for prefix, rule in _RULES.items() if loss.feature.startswith(prefix)), None)
    return family or _ACTS[loss.act]
