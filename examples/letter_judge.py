"""A rehearsal judge: a response is as good as its share of the letter e. For ``--model scripted:FILE:judge``.

It writes judgments as a generative reward model does, one joint score per response from 1 to 10, and is as unsure as
one: each sample is off by up to one point. So an example that trains against it exercises everything but a model.
"""

from __future__ import annotations

import random
import re

from spct.engines import SampleRequest
from spct.engines.scripted import judgment_text

SHOWN = re.compile(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", re.DOTALL)


def share(response: str) -> float:
    """The share of the letter e among the letters of a response, 0..1."""
    letters = [character for character in response if character.isalpha()]
    return letters.count("e") / len(letters) if letters else 0.0


def judge(request: SampleRequest, j: int) -> str:
    """The judgment of sample j: 1 + 9 share, one point more or less by chance, within 1..10."""
    shown = SHOWN.findall(request.messages[-1].content)
    scores = []
    for response in shown:
        luck = random.Random(f"{request.seed + j}:{response}").choice((-1, 0, 0, 1))
        scores.append(min(10, max(1, round(1 + 9 * share(response)) + luck)))
    return judgment_text(scores)
