"""Questions that a model proposes from pairs that a judge got wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from spct.aio import gather_all
from spct.engines.asking import ask
from spct.engines.engine import Engine, SampleRequest
from spct.errors import RequestError
from spct.items import fingerprint
from spct.judges.sampling import SamplingSettings
from spct.rubrics.lint import ALIKE
from spct.templates import load_template
from spct.templates.answer import reasoning
from spct.types import Item
from spct.voting.orders import sample_seed, seed_base

TEMPLATE = Path(__file__).with_name("propose.jinja")
LONGEST = 200
"""Characters of a question; what is longer is no question that a judge can keep to."""
_QUESTION = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]+(.{8,}\?)[*_ \t]*$", re.MULTILINE)


async def proposals(
    engine: Engine, wrong: Sequence[tuple[Item, int]], sampling: SamplingSettings, seed: int
) -> list[str]:
    """The questions that the model writes for items and the response that a judge took for the best, each once.

    An item that the engine rejects gives none.
    """
    template = load_template(str(TEMPLATE))
    special = engine.capabilities.special_tokens

    async def of(item: Item, chosen: int) -> list[str]:
        assert item.best is not None
        request = SampleRequest(
            template.render(item, (item.best, chosen), special_tokens=special),
            seed=sample_seed(seed_base(seed, f"{fingerprint(item)} propose"), 0, 0, 0),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
        )
        try:
            text = (await ask(engine, request)).samples[0].text
        except RequestError:
            return []
        return questions_in(text)

    found = await gather_all([of(item, chosen) for item, chosen in wrong])
    return distinct(question for of_item in found for question in of_item)


def questions_in(text: str) -> list[str]:
    """The questions that an answer lists, after any reasoning."""
    found = (match[1].strip("*_ \t") for match in _QUESTION.finditer(text, reasoning(text)[0]))
    return [question for question in found if len(question) <= LONGEST]


def distinct(questions: Iterable[str]) -> list[str]:
    """The questions without those that are nearly the same as an earlier one."""
    kept: list[str] = []
    for question in questions:
        if all(SequenceMatcher(None, question.lower(), other.lower()).ratio() < ALIKE for other in kept):
            kept.append(question)
    return kept
