"""Do transformers and llama.cpp say the same, greedily? The measure that an exported file has to pass.

On every prompt both must see the same number of tokens; the share of prompts whose first token is the same, and how much of
the longer text is common before the two part ways (in tokens of the model, averaged over prompts), must reach the marks
below. Equal texts to the end cannot be asked for: rounding to F16 or Q8_0 turns a near tie somewhere, and all that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

from spct.engines.engine import Engine, SampleRequest
from spct.errors import TrainingError
from spct.types import Message

FIRST_TOKEN, COMMON_PREFIX = 0.9, 0.5
"""Pass marks: least share of prompts with the same first token, least mean share of common text."""
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

    The tokens of the prompt must be equally many, else it is another prompt.
    """

    prompt: str
    prompt_tokens: tuple[int, int]
    texts: tuple[str, str]
    common: int
    longest: int

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
    def common_prefix(self) -> float:
        return sum(row.share for row in self.rows) / len(self.rows)

    @property
    def equal(self) -> int:
        """Prompts with equal texts."""
        return sum(row.share == 1.0 for row in self.rows)

    @property
    def misread(self) -> Agreement | None:
        """The first prompt whose tokens are not equally many."""
        return next((row for row in self.rows if len(set(row.prompt_tokens)) > 1), None)

    @property
    def passed(self) -> bool:
        return self.misread is None and self.first_token >= FIRST_TOKEN and self.common_prefix >= COMMON_PREFIX

    def as_row(self) -> dict[str, Any]:
        return {
            "prompts": len(self.rows),
            "first_token": round(self.first_token, 4),
            "common_prefix": round(self.common_prefix, 4),
            "equal": self.equal,
            "passed": self.passed,
            "marks": {"first_token": FIRST_TOKEN, "common_prefix": COMMON_PREFIX, "max_tokens": MAX_TOKENS},
            "texts": [asdict(row) for row in self.rows],
        }


async def compare(
    reference: Engine, exported: Engine, tokenizer: Any, prompts: Sequence[str] = PROMPTS, max_tokens: int = MAX_TOKENS
) -> Checked:
    """Ask both for greedy texts. Both engines are started here and closed. Raises EngineError or WeightsError."""
    said = []
    for engine in (reference, exported):  # one after the other: both together may not fit in memory
        try:
            await engine.start()
            said.append([await _ask(engine, prompt, max_tokens) for prompt in prompts])
        finally:
            await engine.close()
    return Checked(tuple(_agreement(tokenizer, *row) for row in zip(prompts, *said, strict=True)))


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
    worst = min(checked.rows, key=lambda row: row.share)
    raise TrainingError(
        f"{what} is not good: transformers and llama.cpp agree on the first token of {checked.first_token:.0%} of the prompts "
        f"(expected {FIRST_TOKEN:.0%}) and on {checked.common_prefix:.0%} of the text before they part "
        f"(expected {COMMON_PREFIX:.0%}); the worst: {worst.prompt!r} gives {worst.texts[0][:60]!r} and {worst.texts[1][:60]!r}"
    )


async def _ask(engine: Engine, prompt: str, max_tokens: int) -> tuple[int, str]:
    messages = (Message("user", prompt),)
    batch = await engine.sample(SampleRequest(messages, temperature=0.0, max_tokens=max_tokens))
    return await engine.count_tokens(messages) or 0, batch.samples[0].text


def _agreement(tokenizer: Any, prompt: str, ours: tuple[int, str], theirs: tuple[int, str]) -> Agreement:
    a, b = (tokenizer(text, add_special_tokens=False)["input_ids"] for _, text in (ours, theirs))
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    return Agreement(prompt, (ours[0], theirs[0]), (ours[1], theirs[1]), common, max(len(a), len(b)))
