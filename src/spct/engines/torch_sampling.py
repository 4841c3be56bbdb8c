"""The sampling loop of the transformers engine: prompts are processed once, then all their samples decoded together.

``generate(num_return_sequences=n)`` of the library processes the prompt n times and draws all rows from one random
stream. Here a row draws from its own: the token at step t is the inverse of the cumulative distribution at the t-th
number of ``random.Random(seed)``, so a sample depends on its seed alone, whatever else is in the batch (up to the
rounding of batched arithmetic). Shapes: ``P`` prompts, ``R`` rows (samples), ``T`` tokens, ``V`` vocabulary.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from random import Random
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import LinearAttentionCacheLayerMixin

from spct.types import FinishReason

NUCLEUS_CANDIDATES = 1024
"""Tokens looked at for top_p before the whole vocabulary is sorted, which is rarely needed and slow."""


@dataclass(slots=True)
class Generation:
    """One sample in the making: ``prompt`` is the index of its prompt; the loop fills in the rest.

    ``logprobs`` has one entry per token: its natural-log probability at temperature 1, and the ``top`` likeliest
    (token, log probability) pairs. ``end`` is the token that ended a row which stopped by itself.
    """

    prompt: int
    seed: int
    temperature: float
    top_p: float
    max_tokens: int
    top: int = 0
    tokens: list[int] = field(default_factory=list)
    logprobs: list[tuple[float, list[tuple[int, float]]]] = field(default_factory=list)
    finish: FinishReason | None = None
    end: int | None = None
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)


def torch_configuration(model: Any | None, device: str) -> dict[str, str | int | None]:
    """What a model's numbers depend on besides its weights; ``dtype`` is None until it is loaded."""
    return {
        "transformers": version("transformers"),
        "torch": version("torch"),
        "device": device,
        "dtype": None if model is None else str(model.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }


def may_pad(model: Any) -> bool:
    """Whether prompts of different lengths can share a batch: recurrent layers would read the padding."""
    layers = DynamicCache(config=model.config.get_text_config(decoder=True)).layers
    return not any(isinstance(layer, LinearAttentionCacheLayerMixin) for layer in layers)


@torch.inference_mode()
def sample_rows(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[Generation],
    *,
    batch: int,
    eos: frozenset[int],
    dropped: Callable[[Generation], bool],
) -> None:
    """Fill in ``rows``, at most ``batch`` at a time; the prompts' caches are computed once.

    A row ends at a token of ``eos`` (not kept), at its ``max_tokens``, or when ``dropped`` says nobody wants it.
    """
    logits_PV, cache, mask_PT = _prefill(model, prompts)  # noqa: N806
    for start in range(0, len(rows), batch):
        chunk = rows[start : start + batch]
        own = cache if start + batch >= len(rows) else copy.deepcopy(cache)
        _decode(model, logits_PV, own, mask_PT, chunk, eos, dropped)


def _prefill(model: Any, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, Any, torch.Tensor]:
    longest = max(map(len, prompts))
    gaps = [longest - len(prompt) for prompt in prompts]
    ids = torch.tensor([[0] * gap + list(prompt) for gap, prompt in zip(gaps, prompts, strict=True)])
    mask = torch.tensor([[0] * gap + [1] * (longest - gap) for gap in gaps])
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    ids, mask = ids.to(model.device), mask.to(model.device)
    return _forward(model, ids, mask, cache, first=True), cache, mask


def _forward(model: Any, ids: torch.Tensor, mask: torch.Tensor, cache: Any, first: bool = False) -> torch.Tensor:
    """Logits (rows, V) in float32 after the last of ``ids``, which follow what ``cache`` holds."""
    accepted = inspect.signature(model.forward).parameters
    extra: dict[str, Any] = {}
    if "position_ids" in accepted:
        extra["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    if "logits_to_keep" in accepted:
        extra["logits_to_keep"] = 1
    inputs = model.prepare_inputs_for_generation(
        ids, past_key_values=cache, attention_mask=mask, use_cache=True, is_first_iteration=first, **extra
    )
    logits: torch.Tensor = model(**inputs, return_dict=True).logits
    return logits[:, -1].float()


def _decode(
    model: Any,
    logits_PV: torch.Tensor,  # noqa: N803
    cache: Any,
    mask_PT: torch.Tensor,  # noqa: N803
    rows: Sequence[Generation],
    eos: frozenset[int],
    dropped: Callable[[Generation], bool],
) -> None:
    place = torch.tensor([row.prompt for row in rows], device=logits_PV.device)
    cache.reorder_cache(place)
    logits, mask, live = logits_PV[place], mask_PT[place], list(rows)
    while True:
        tokens = _choose(logits, live)
        _extend(live, tokens, logits, eos)
        kept = [i for i, row in enumerate(live) if row.finish is None and not dropped(row)]
        if not kept:
            return
        if len(kept) < len(live):  # finished rows leave, so that the rest go faster
            place = torch.tensor(kept, device=logits.device)
            cache.reorder_cache(place)
            mask, live, tokens = mask[place], [live[i] for i in kept], [tokens[i] for i in kept]
        mask = torch.cat([mask, mask.new_ones((len(live), 1))], dim=-1)
        logits = _forward(model, torch.tensor(tokens, device=mask.device)[:, None], mask, cache)


def _choose(logits_RV: torch.Tensor, rows: Sequence[Generation]) -> list[int]:  # noqa: N803
    """The next token of each row: the likeliest at temperature 0, else one draw from its own random stream."""
    greedy = logits_RV.argmax(-1)
    if all(row.temperature == 0 for row in rows):
        return list(map(int, greedy.tolist()))
    device = logits_RV.device
    temperature = torch.tensor([row.temperature or 1.0 for row in rows], device=device)
    draws = torch.tensor([row.random.random() for row in rows], dtype=torch.float64, device=device)
    top_p = torch.tensor([row.top_p for row in rows], dtype=torch.float64, device=device)
    probabilities = (logits_RV / temperature[:, None]).softmax(-1)
    if any(row.top_p < 1 for row in rows):
        probabilities = _nucleus(probabilities, top_p)
    tokens = _draw(probabilities.cumsum(-1, dtype=torch.float64), draws)
    chosen = tokens.tolist()
    return [int(greedy[i]) if row.temperature == 0 else int(chosen[i]) for i, row in enumerate(rows)]


def _draw(cumulative: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Index of the first entry whose cumulative weight exceeds draw * total: never one of weight 0."""
    goal = draws[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, goal, right=True).squeeze(-1).clamp(max=cumulative.shape[-1] - 1)


def _nucleus(probabilities: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """``probabilities`` without the tokens that are less likely than the one with which a row reaches ``top_p``.

    Weights stay in the order of the vocabulary: sorted, two almost equal tokens that rounding swaps would turn many
    draws.
    """
    ordered = probabilities.topk(min(NUCLEUS_CANDIDATES, probabilities.shape[-1])).values
    if bool((ordered.sum(-1, dtype=torch.float64) < top_p).logical_and(top_p < 1).any()):
        ordered = probabilities.sort(-1, descending=True).values
    before = ordered.cumsum(-1, dtype=torch.float64) - ordered
    last = ((before < top_p[:, None]).sum(-1) - 1).clamp(min=0)
    least = ordered.gather(-1, last[:, None]).where(top_p[:, None] < 1, torch.zeros_like(ordered[:, :1]))
    return probabilities.where(probabilities >= least, torch.zeros_like(probabilities))


def _extend(rows: Sequence[Generation], tokens: Sequence[int], logits_RV: torch.Tensor, eos: frozenset[int]) -> None:  # noqa: N803
    for i, (row, token) in enumerate(zip(rows, tokens, strict=True)):
        if token in eos:
            row.finish, row.end = "stop", token
            continue
        row.tokens.append(token)
        if row.top:
            logprobs = logits_RV[i].log_softmax(-1)
            top = logprobs.topk(min(row.top, logprobs.shape[-1]))
            pairs = list(zip(map(int, top.indices.tolist()), map(float, top.values.tolist()), strict=True))
            row.logprobs.append((float(logprobs[token]), pairs))
        if len(row.tokens) >= row.max_tokens:
            row.finish = "length"
