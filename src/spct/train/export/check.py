"""Do transformers and llama.cpp say the same, greedily? The measure that an exported file has to pass.

On every prompt both must see the same number of tokens. Equal texts to the end cannot be asked for: rounding to Q8_0 turns a
near tie somewhere, and all that follows. So where the texts part, the model itself is asked how near the tie was: by how much
its own token is likelier, in log-probability, than the one that the file took. The share of prompts with equal texts or a
near tie, and that of prompts with the same first token, must reach the marks below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

import torch

from spct.engines.engine import Engine, SampleRequest
from spct.errors import TrainingError
from spct.train.common.models import Trainable
from spct.types import Message

AGREED, FIRST_TOKEN = 0.9, 0.7
"""Pass marks: least share of prompts with equal texts or a near tie, and with the same first token."""
NEAR = 0.5
"""How many nats apart the two tokens of a near tie may be."""
MAX_TOKENS = 32
PROMPTS = (
    "Name three things that make an answer helpful.",
    "What is 17 + 25? Answer with the number only.",
    "Which is the better reply to a greeting: silence, or a greeting?",
    "Write one sentence about rain in autumn.",
    "Give the capital of France, then that of Japan.",
    "Is the following true? All squares are rectangles.",
    "List the months that begin with J.",
    "Rate this reply from 1 to 10: 'I do not know, sorry.'",
    "Explain in one line why the sky is blue.",
    "Translate to German: good morning, my friend.",
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both said to one prompt; ``common`` tokens from the start are the same, ``longest`` is the longer text's length.

    The tokens of the prompt must be equally many, else it is another prompt. ``gap`` is how much likelier, in nats, the
    model finds its own next token than the file's; 0 where the texts are equal, infinite where they part at what is no
    character.
    """

    prompt: str
    prompt_tokens: tuple[int, int]
    texts: tuple[str, str]
    common: int
    longest: int
    gap: float = 0.0

    @property
    def agreed(self) -> bool:
        return self.gap <= NEAR

    @property
    def share(self) -> float:
        return self.common / self.longest if self.longest else 1.0

    @property
    def first(self) -> bool:
        return self.common > 0 or not self.longest


@dataclass(frozen=True, slots=True)
class Checked:
    """The agreements over all prompts."""

    rows: tuple[Agreement, ...]

    @property
    def first_token(self) -> float:
        return sum(row.first for row in self.rows) / len(self.rows)

    @property
    def agreed(self) -> float:
        return sum(row.agreed for row in self.rows) / len(self.rows)

    @property
    def common_prefix(self) -> float:
        return sum(row.share for row in self.rows) / len(self.rows)

    @property
    def equal(self) -> int:
        """Prompts with equal texts."""
        return sum(row.texts[0] == row.texts[1] for row in self.rows)

    @property
    def misread(self) -> Agreement | None:
        """The first prompt whose tokens are not equally many."""
        return next((row for row in self.rows if len(set(row.prompt_tokens)) > 1), None)

    @property
    def passed(self) -> bool:
        return self.misread is None and self.agreed >= AGREED and self.first_token >= FIRST_TOKEN

    def as_row(self) -> dict[str, Any]:
        return {
            "prompts": len(self.rows),
            "agreed": round(self.agreed, 4),
            "first_token": round(self.first_token, 4),
            "common_prefix": round(self.common_prefix, 4),
            "equal": self.equal,
            "passed": self.passed,
            "largest_gap": round(max(row.gap for row in self.rows), 4),
            "marks": {"agreed": AGREED, "first_token": FIRST_TOKEN, "near": NEAR, "max_tokens": MAX_TOKENS},
            "texts": [asdict(row) for row in self.rows],
        }


async def compare_greedily(
    reference: Engine,
    exported: Engine,
    trainable: Trainable,
    prompts: Sequence[str] = PROMPTS,
    max_tokens: int = MAX_TOKENS,
) -> Checked:
    """Ask both for greedy texts, and ``trainable``, the model that both are, where those part.

    Both engines are started here and closed. Raises EngineError or WeightsError.
    """
    said = []
    for engine in (reference, exported):  # one after the other: both together may not fit in memory
        try:
            await engine.start()
            said.append([await _ask(engine, prompt, max_tokens) for prompt in prompts])
        finally:
            await engine.close()
    return Checked(tuple(_agreement(trainable, *row) for row in zip(prompts, *said, strict=True)))


def require_pass(checked: Checked, what: str) -> None:
    """Raise TrainingError, with the figures and the first difference, unless the marks are reached."""
    if checked.passed:
        return
    if (misread := checked.misread) is not None:
        ours, theirs = misread.prompt_tokens
        raise TrainingError(
            f"{what} is not good: the prompt {misread.prompt!r} has {ours} tokens in transformers and {theirs} in llama.cpp, "
            "so the tokenizer or the chat template does not come through"
        )
    worst = max(checked.rows, key=lambda row: row.gap)
    raise TrainingError(
        f"{what} is not good: on {checked.agreed:.0%} of the prompts (expected {AGREED:.0%}) transformers and llama.cpp agree or "
        f"part at a near tie, on {checked.first_token:.0%} (expected {FIRST_TOKEN:.0%}) from the first token; the worst, "
        f"{worst.gap:.2f} nats apart: {worst.prompt!r} gives {worst.texts[0][:60]!r} and {worst.texts[1][:60]!r}"
    )


async def _ask(engine: Engine, prompt: str, max_tokens: int) -> tuple[int, str]:
    messages = (Message("user", prompt),)
    batch = await engine.sample(SampleRequest(messages, temperature=0.0, max_tokens=max_tokens))
    return await engine.count_tokens(messages) or 0, batch.samples[0].text


def _agreement(trainable: Trainable, prompt: str, ours: tuple[int, str], theirs: tuple[int, str]) -> Agreement:
    a, b = (trainable.tokenizer(_whole(text), add_special_tokens=False)["input_ids"] for _, text in (ours, theirs))
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    gap = 0.0
    if ours[1] != theirs[1]:
        gap = math.inf if a == b else _gap(trainable, prompt, a, b, common)
    return Agreement(prompt, (ours[0], theirs[0]), (ours[1], theirs[1]), common, max(len(a), len(b)), gap)


def _whole(text: str) -> str:
    """The text up to where its tokens made no character: from there on it does not say which they were."""
    return text.partition("\ufffd")[0]


def _gap(trainable: Trainable, prompt: str, a: Sequence[int], b: Sequence[int], common: int) -> float:
    """By how many nats the model prefers the next token of ``a`` to that of ``b``; where a text is over, its end."""
    end = trainable.encoder.end_ids[0]
    ours, theirs = (ids[common] if common < len(ids) else end for ids in (a, b))
    seen = [*trainable.encoder.prompt((Message("user", prompt),)), *a[:common]]
    with torch.inference_mode():
        logits = trainable.model.eval()(torch.tensor([seen])).logits[0, -1].double()
    return float(logits[ours] - logits[theirs])
