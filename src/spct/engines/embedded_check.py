"""The self-check of an embedded engine on this CPU: are its logits right, how fast is it, do its samples repeat.

Right: 24 short questions are answered greedily, 8 tokens each, and compared with answers known to be right. The measure
is the common beginning of the two texts over the length of the known one, averaged. With top-1 agreement p per token
it is about the mean of p, p^2, .., p^8. Measured on SmolLM2-135M: OpenVINO 0.75 and llama.cpp 0.78 with Q8_0; OpenVINO
reading Q4_1, which is the fault this check must catch, 0.33. Below 0.55 an engine fails.
Known answers are those of the shipped weights in f32 under transformers for the catalogue model, otherwise llama.cpp's.
Fast: generated tokens per second of 8 judgments under the grammar of the GRM template that share one prompt of some 600
tokens, at most 96 tokens each: what judging will ask for.
Repeat: 8 samples of each of eight prompts, each a token longer than the one before, and of three short ones are asked for
one prompt after the other, and half of them again right after each; then half of them all at once beside the questions,
and one of each alone. They must be the same texts: of 24 tokens, or of 4 with the same log-probabilities to the last bit
where the engine gives them. Lengths matter: where rounding depends on how many rows are computed together, it changes at
certain numbers only. OpenVINO told to use no more than AVX2 is caught so, and llama.cpp with one cache for all sequences,
or where it keeps prompts for later requests.
Without log-probabilities a dependence in the last bits of float32 can be missed: it turns one draw in thousands.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spct.engines.engine import Engine, SampleRequest
from spct.templates import load_template
from spct.types import Message

PASS_MARK = 0.55
CHECK_TOKENS = 8
CHECK_VERSION = 4
"""Of what is measured: a choice made by another version is made anew."""
_SAMPLES, _NEW_TOKENS = 8, 96
_REFERENCES = Path(__file__).with_name("embedded_answers.json")

QUESTIONS = tuple(
    f"{ask} {about}?"
    for about in ("a river", "the moon", "bread", "a bicycle", "winter", "music", "the heart", "a library")
    for ask in ("In one sentence, what is", "Give three words about", "Why do people care about")
)
_LOAD = "Weigh the two answers below against the request and say which serves the reader better. " * 36
_PROMPTS = (
    *[f"{place} {_LOAD[:400]}" + " so" * place for place in range(8)],
    *[f"Tell a story of {who}." for who in ("a cat", "a dog and a cat", "an old sailor who comes home")],
)
"""Each begins unlike the others, so that little of it is in a cache when it is asked first."""


@dataclass(frozen=True, slots=True)
class Measured:
    """``answers`` follow ``QUESTIONS``; ``tokens_per_s`` counts generated tokens over wall time, prompt included.

    ``seed_alone``: every sample was the same however the samples were grouped and whatever was asked beside them.
    """

    answers: tuple[str, ...]
    tokens_per_s: float
    seed_alone: bool


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
    """Answer the questions, time one shared-prompt request, ask it again. The engine must have been started."""
    questions = [_question(text) for text in QUESTIONS]
    answers = await asyncio.gather(*(engine.sample(question) for question in questions))
    grammar = load_template("grm").grammar(2, _NEW_TOKENS)
    load = (Message("user", _LOAD),)
    request = SampleRequest(load, n=_SAMPLES, temperature=1.0, max_tokens=_NEW_TOKENS, seed=1, grammar=grammar)
    began = time.perf_counter()
    batch = await engine.sample(request)
    seconds = time.perf_counter() - began
    return Measured(
        answers=tuple(answer.samples[0].text for answer in answers),
        tokens_per_s=batch.usage.completion_tokens / seconds,
        seed_alone=await _repeats(engine, questions),
    )


async def _repeats(engine: Engine, others: Sequence[SampleRequest]) -> bool:
    """Whether samples come again in another grouping, beside other requests, and alone."""
    logprobs = engine.capabilities.logprobs
    wholes = [
        SampleRequest(
            (Message("user", text),),
            n=_SAMPLES,
            temperature=1.0,
            max_tokens=4 if logprobs else 24,
            seed=100 * place,
            top_logprobs=int(logprobs),
        )
        for place, text in enumerate(_PROMPTS)
    ]
    halves = [replace(whole, n=_SAMPLES // 2) for whole in wholes]
    first, at_once, alone = [], [], []
    for whole, half in zip(wholes, halves, strict=True):  # the half at once, when all of its prompt may be in a cache
        first.append((await engine.sample(whole)).samples)
        at_once.append((await engine.sample(half)).samples)
    beside = await asyncio.gather(*(engine.sample(request) for request in (*halves, *others)))
    for whole in wholes:
        alone.append((await engine.sample(replace(whole, n=1, seed=whole.seed + _SAMPLES - 1))).samples)
    return all(
        one.text == other.text and one.logprobs == other.logprobs
        for samples, half, later, lone in zip(first, at_once, beside, alone, strict=False)
        for one, other in [
            *zip(samples, half, strict=False),
            *zip(samples, later.samples, strict=False),
            (samples[-1], lone[0]),
        ]
    )


def _question(text: str) -> SampleRequest:
    return SampleRequest((Message("user", text),), temperature=0.0, max_tokens=CHECK_TOKENS)
