"""Rollouts of a policy in training: a group's prompt is processed once, then its G samples decode together.

``generate`` of the library processes the prompt G times and decodes finished rows on to the end of the batch; here a
finished row leaves. The sampling is that of the transformers engine (``engines.torch_sampling``): a rollout hangs on its own
seed, not on its neighbours or on how a batch was cut, so a resumed run and any number of processes draw the same ones (up
to the rounding of batched arithmetic).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spct.engines.torch_sampling import Generation, may_pad, sample_rows
from spct.voting.orders import keyed_hash, sample_seed, seed_base


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """``batch`` is the most rows decoded at once; a row ends at a token of ``eos`` or after ``max_tokens``."""

    temperature: float
    max_tokens: int
    batch: int
    eos: frozenset[int]


def rollout_seed(seed: int, visit: int, ordinal: int) -> int:
    """The seed of the ``ordinal``-th rollout of a visit, below 2^31; those of a visit are consecutive."""
    return sample_seed(seed_base(seed, f"rollout {keyed_hash(visit)}"), 0, 0, ordinal)


def roll_out(
    model: Any, prompts: Sequence[Sequence[int]], seeds: Sequence[int], settings: RolloutSettings
) -> list[list[int]]:
    """Sample one completion per row (B of them): its tokens, the one that ended it included.

    ``prompts`` has the prompt of every row; equal neighbours are processed once. ``model`` is the causal model itself, not
    wrapped; it is put into eval mode for as long as this takes.
    """
    training = model.training
    model.eval()
    try:
        completions: list[list[int]] = []
        for start, end in _chunks(prompts, settings.batch, padded=may_pad(model)):
            completions += _sample(model, prompts[start:end], seeds[start:end], settings)
        return completions
    finally:
        model.train(training)


def _sample(
    model: Any, prompts: Sequence[Sequence[int]], seeds: Sequence[int], settings: RolloutSettings
) -> list[list[int]]:
    distinct: list[Sequence[int]] = []
    rows = []
    for prompt, seed in zip(prompts, seeds, strict=True):
        if not distinct or distinct[-1] != prompt:
            distinct.append(prompt)
        rows.append(Generation(len(distinct) - 1, seed, settings.temperature, 1.0, settings.max_tokens))
    sample_rows(model, distinct, rows, batch=settings.batch, eos=settings.eos, dropped=lambda row: False)
    return [row.tokens if row.end is None else [*row.tokens, row.end] for row in rows]


def _chunks(prompts: Sequence[Sequence[int]], batch: int, *, padded: bool) -> list[tuple[int, int]]:
    """Spans of rows to sample together: whole groups, at most ``batch`` rows where a group is no larger.

    Unless prompts may be ``padded``, those of a span have one length.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for here, end in _groups(prompts):
        fits = end - start <= batch and (padded or len(prompts[start]) == len(prompts[here]))
        if here > start and not fits:
            spans.append((start, here))
            start = here
    return [*spans, (start, len(prompts))] if prompts else []


def _groups(prompts: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Spans of neighbouring rows with the same prompt."""
    starts = [i for i in range(len(prompts)) if i == 0 or prompts[i] != prompts[i - 1]]
    return list(zip(starts, [*starts, len(prompts)][1:], strict=True))
