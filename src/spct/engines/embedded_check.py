"""The self-check of an embedded engine: are its logits right on this CPU, and how fast is it.

Right: 24 short questions are answered greedily, 8 tokens each, and compared with answers known to be right. The measure
is the common beginning of the two texts over the length of the known one, averaged. With top-1 agreement p per token
it is about the mean of p, p^2, .., p^8. Measured on SmolLM2-135M: OpenVINO 0.75 and llama.cpp 0.78 with Q8_0; OpenVINO
reading Q4_1, which is the fault this check must catch, 0.33. Below 0.55 an engine fails.
Known answers are those of the shipped weights in f32 under transformers for the catalogue model, otherwise llama.cpp's.
Fast: generated tokens per second of 8 judgments under the grammar of the GRM template that share one prompt of some 600
tokens, at most 96 tokens each: what judging will ask for.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spct.engines.engine import Engine, SampleRequest
from spct.templates import load_template
from spct.types import Message

PASS_MARK = 0.55
CHECK_TOKENS = 8
CHECK_VERSION = 2
"""Of what is measured: a choice made by another version is made anew."""
_SAMPLES, _NEW_TOKENS = 8, 96
_REFERENCES = Path(__file__).with_name("embedded_answers.json")

QUESTIONS = tuple(
    f"{ask} {about}?"
    for about in ("a river", "the moon", "bread", "a bicycle", "winter", "music", "the heart", "a library")
    for ask in ("In one sentence, what is", "Give three words about", "Why do people care about")
)
_LOAD = "Weigh the two answers below against the request and say which serves the reader better. " * 36


@dataclass(frozen=True, slots=True)
class Measured:
    """``answers`` follow ``QUESTIONS``; ``tokens_per_s`` counts generated tokens over wall time, prompt included."""

    answers: tuple[str, ...]
    tokens_per_s: float


def reference_answers(name: str) -> tuple[str, ...] | None:
    """The known answers of a catalogue model, or None."""
    answers = json.loads(_REFERENCES.read_text("utf-8")).get(name)
    return tuple(answers) if answers else None


def agreement(answers: Sequence[str], known: Sequence[str]) -> float:
    """Mean share of each known answer that the given one begins with, 0..1. Empty known answers count as agreeing."""
    shares = [_common(a, b) / len(b) if b else 1.0 for a, b in zip(answers, known, strict=True)]
    return sum(shares) / len(shares)


def _common(a: str, b: str) -> int:
    """Characters that both texts begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


async def measure(engine: Engine) -> Measured:
    """Answer the questions, then time one shared-prompt request. The engine must have been started."""
    answers = await asyncio.gather(*(engine.sample(_question(text)) for text in QUESTIONS))
    grammar = load_template("grm").grammar(2, _NEW_TOKENS)
    load = (Message("user", _LOAD),)
    request = SampleRequest(load, n=_SAMPLES, temperature=1.0, max_tokens=_NEW_TOKENS, seed=1, grammar=grammar)
    began = time.perf_counter()
    batch = await engine.sample(request)
    seconds = time.perf_counter() - began
    return Measured(tuple(a.samples[0].text for a in answers), batch.usage.completion_tokens / seconds)


def _question(text: str) -> SampleRequest:
    return SampleRequest((Message("user", text),), temperature=0.0, max_tokens=CHECK_TOKENS)
