"""How a judge asks an engine: what the answer is held to, a turn begun for the assistant, and the seconds that it took.

A prompt whose last message is the assistant's is the begin of its answer. The engine goes on from there, and the answer is
the whole turn, the begin included: it is parsed, kept and rated like one that the model wrote alone.
Failure rule: an engine that cannot go on from a begun turn is an EngineError; a begin is never dropped.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import NamedTuple

from spct.engines.engine import Engine, Sample, SampleBatch, SampleRequest
from spct.errors import EngineError
from spct.templates import Template
from spct.types import Message, TokenLogprob


def split_begun(messages: tuple[Message, ...]) -> tuple[tuple[Message, ...], str]:
    """The prompt, and the begin of the assistant's turn, "" where none is begun."""
    if messages[-1].role == "assistant":
        return messages[:-1], messages[-1].content
    return messages, ""


class Held(NamedTuple):
    """What an answer is held to while it is written: a grammar, a JSON schema, or nothing."""

    grammar: str | None = None
    json_schema: str | None = None

    def __bool__(self) -> bool:
        return self.grammar is not None or self.json_schema is not None


def held_to(template: Template, n: int, max_tokens: int, engine: Engine) -> Held:
    """What an answer over n responses can be held to."""
    can = engine.capabilities
    if can.grammar:
        return Held(grammar=template.grammar(n, max_tokens))
    # Only where the engine takes no grammar, which also bounds the length of the texts.
    return Held(json_schema=template.json_schema(n)) if can.json_schema else Held()


def held_in_effect(template: Template, engine: Engine, *, wanted: bool) -> dict[str, str | None]:
    """By what means the engine holds answers under ``template``, as a run records it; known once it has started."""
    can = engine.capabilities
    if not wanted or template.begins:
        return {"grammar": None}
    if can.grammar or not can.json_schema or template.json_schema(2) is None:
        return {"grammar": can.grammar}
    return {"grammar": None, "json_schema": can.json_schema}


async def ask(engine: Engine, request: SampleRequest) -> SampleBatch:
    """What the engine answers, with the seconds that it took in its usage. Raises EngineError as above."""
    _, begun = split_begun(request.messages)
    if begun and not engine.capabilities.continues:
        raise EngineError(
            f"the template begins the assistant's turn with {begun[:40]!r}, and {engine.model_id} is not known to go on "
            "from a begun turn; leave that message out of the template, or use an engine that can (docs/templates.md)"
        )
    started = monotonic()
    batch = await engine.sample(request)
    samples = tuple([_whole(sample, begun) for sample in batch.samples]) if begun else batch.samples
    return SampleBatch(samples, replace(batch.usage, seconds=monotonic() - started))


def _whole(sample: Sample, begun: str) -> Sample:
    """The sample with the begin of its turn in front: one token of probability 1, where it has log-probabilities."""
    logprobs = sample.logprobs and (TokenLogprob(begun, 0.0), *sample.logprobs)
    return replace(sample, text=begun + sample.text, logprobs=logprobs)
