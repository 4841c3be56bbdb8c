"""What providers and servers of the OpenAI format need and can do, beyond what is found out by asking them.

One record each, and no lists of models. What an entry says comes from the provider's own documentation; which of them were
tried against the real thing stands in ``docs/engines.md``. To add one: one entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from spct.engines.http.grammar import GrammarStyle

DEFAULT_BASE_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
KEY_HEADER = "Authorization"


@dataclass(frozen=True, slots=True)
class Preset:
    """How to speak to one provider or kind of server.

    ``base_url`` None must be given. ``key_variable`` and ``key_header`` say where the key comes from and goes to. ``style``
    is how it takes grammars and JSON schemas, tried before it is relied on. ``max_n`` is the most choices of one request that
    are worth asking for. ``left_out`` are parameters that it refuses or ignores, ``renamed`` those that it calls otherwise.
    ``sends_top_p``: a top_p of 1 is sent, too, since the server puts another in its place. ``sampling`` are fields that each
    request has besides, so that samples come of the model's own distribution: without them the server cuts it or penalises
    words unasked, as its defaults or the model's folder say. ``highest_temperature``: a higher one it lowers without a word.
    ``seeds``: "choice" if choice j is what a lone request with seed + j gives, "request" if choices differ but depend on the
    request, None where that is found out. ``owned_by``: what its list of models says of it. ``continuing``: the fields that have
    it go on from a turn begun for the assistant, None where it is not known to; ``echoes``: its reply may repeat what was begun.
    """

    base_url: str | None = None
    key_variable: str = KEY_VARIABLE
    key_header: str = KEY_HEADER
    style: GrammarStyle = "none"
    max_n: int | None = None
    left_out: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    sends_top_p: bool = False
    sampling: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    highest_temperature: float | None = None
    seeds: Literal["choice", "request"] | None = None
    owned_by: str | None = None
    continuing: Mapping[str, bool] | None = None
    echoes: bool = False


UNKNOWN = Preset()
"""A server of which nothing is known."""

_LOGPROBS = frozenset({"logprobs", "top_logprobs"})

PRESETS: Mapping[str, Preset] = {
    "openai": Preset(DEFAULT_BASE_URL, style="response_format"),
    "azure": Preset(key_variable="AZURE_OPENAI_API_KEY", key_header="api-key", style="response_format"),
    "anthropic": Preset(
        "https://api.anthropic.com/v1",
        "ANTHROPIC_API_KEY",
        max_n=1,
        left_out=_LOGPROBS | {"seed"},
        highest_temperature=1.0,
    ),
    "gemini": Preset(
        "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY", style="response_format"
    ),
    "openrouter": Preset("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", style="response_format", max_n=1),
    "together": Preset("https://api.together.xyz/v1", "TOGETHER_API_KEY", style="response_format"),
    "deepseek": Preset("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", max_n=1, left_out=frozenset({"seed"})),
    "mistral": Preset(
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        style="response_format",
        left_out=_LOGPROBS,
        renamed=MappingProxyType({"seed": "random_seed"}),
    ),
    "groq": Preset(
        "https://api.groq.com/openai/v1", "GROQ_API_KEY", style="response_format", max_n=1, left_out=_LOGPROBS
    ),
    "dashscope": Preset(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        style="response_format",
        max_n=4,
        sends_top_p=True,
    ),
    "ollama": Preset(
        "http://127.0.0.1:11434/v1", "OLLAMA_API_KEY", style="response_format", max_n=1, owned_by="library"
    ),
    "lmstudio": Preset(
        "http://127.0.0.1:1234/v1",
        "LMSTUDIO_API_KEY",
        style="response_format",
        max_n=1,
        sends_top_p=True,
        owned_by="organization_owner",
    ),
    "vllm-server": Preset(
        "http://127.0.0.1:8000/v1",
        "VLLM_API_KEY",
        style="vllm",
        sends_top_p=True,
        sampling=MappingProxyType(
            {
                "top_k": 0,
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                "presence_penalty": 0.0,
                "frequency_penalty": 0.0,
            }
        ),
        seeds="request",
        owned_by="vllm",
        continuing=MappingProxyType({"continue_final_message": True, "add_generation_prompt": False}),
    ),
    "sglang": Preset(
        "http://127.0.0.1:30000/v1",
        "SGLANG_API_KEY",
        style="sglang",
        max_n=1,
        sends_top_p=True,
        sampling=MappingProxyType({"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}),
        owned_by="sglang",
        continuing=MappingProxyType({"continue_final_message": True}),
    ),
    "llama-server": Preset(
        "http://127.0.0.1:8080/v1",
        "LLAMA_API_KEY",
        style="llamacpp",
        sends_top_p=True,
        sampling=MappingProxyType({"top_k": 0, "min_p": 0.0}),
        seeds="choice",
        owned_by="llamacpp",
        continuing=MappingProxyType({}),  # it does so by itself
        echoes=True,
    ),
    "tgi": Preset("http://127.0.0.1:3000/v1", "TGI_API_KEY", style="response_format", max_n=1),
}


def preset_of(owned_by: str | None) -> Preset:
    """The entry of a server that says so of itself; ``UNKNOWN`` where there is none."""
    return next((preset for preset in PRESETS.values() if owned_by and preset.owned_by == owned_by), UNKNOWN)
