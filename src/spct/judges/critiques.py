"""Critiques as CLoud uses them: how one is asked for, what counts as one, and what the head reads of it.

Shared by the judge ``cloud`` and by the training of such a judge, so that a model learns what it is asked for later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spct.classifiers import Conversation
from spct.engines.asking import Held
from spct.engines.engine import Sample
from spct.errors import InputError
from spct.judges.sampling import SampleScores, SamplingSettings, Stream, StreamSampler
from spct.judges.texts import conversation_of
from spct.meta.cases import without_control_tokens
from spct.templates import Template, load_template
from spct.templates.parsing import answer_start
from spct.types import Item, Message, Problem

SHIPPED = Path(__file__).with_name("critique.jinja")
CRITIQUE_REQUEST = "Say what is right and what is wrong with your last response."


def critique_template(name: str) -> Template:
    """The shipped template where ``name`` is the default, "grm"; else that file. Raises InputError for one of several responses."""
    template = load_template(str(SHIPPED) if name == "grm" else name)
    if "single" not in template.needs:
        raise InputError(f"the judge cloud shows one response; template {template.name} does not need single")
    return template


def critique_options(template: Template, sampling: SamplingSettings) -> dict[str, Any]:
    """What a critique depends on besides model and seed, as a run records it."""
    return {
        "template": template.name,
        f"template.{template.name}": template.digest,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "retries": sampling.retries,
    }


def head_reads(
    item: Item, response: int, critique: str, special_tokens: tuple[str, ...], *, tool_turns: bool = False
) -> Conversation:
    """The conversation, the response, and the critique as the answer to ``CRITIQUE_REQUEST``."""
    text = without_control_tokens(answer_of(critique), special_tokens)
    turns = conversation_of(item, response, special_tokens, tool_turns=tool_turns)
    return (*turns, Message("user", CRITIQUE_REQUEST), Message("assistant", text))


def answer_of(text: str) -> str:
    """The critique without the reasoning before it."""
    return text[answer_start(text, "stop")[0] :].strip()


class CritiqueSampler(StreamSampler):
    """Takes any finished text for a critique; a valid one has the scores ()."""

    def _read(self, stream: Stream, places: tuple[int, ...], sample: Sample, held: bool) -> SampleScores:
        _, problem = answer_start(sample.text, sample.finish_reason)
        if problem is None and not answer_of(sample.text):
            problem = Problem("empty", "nothing follows the reasoning")
        if problem is None and sample.finish_reason != "stop":
            problem = Problem("truncated", "the critique was cut off before its end; raise max_tokens")
        return SampleScores(() if problem is None else None, problem)

    def _held(self, n: int) -> Held:
        return Held()  # a template's grammar ends in an answer form
