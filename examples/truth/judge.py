"""A judge without a model, for the examples of docs/truth.md: it likes responses with more words, give or take its seed.

spct judge examples/truth/best.jsonl --model scripted:examples/truth/judge.py:judge
"""

import re

from spct.engines.engine import SampleRequest
from spct.engines.scripted import judgment_text

SHOWN = re.compile(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", re.DOTALL)


def judge(request: SampleRequest, j: int) -> str:
    """Half a point for each word, and one point more or less by the sample's seed and the response."""
    seed = request.seed + j
    shown = SHOWN.findall(request.messages[-1].content)
    return judgment_text([score(response, seed) for response in shown], f"Longer is better (seed {seed}).")


def score(response: str, seed: int) -> int:
    chance = (seed * 7919 + sum(map(ord, response)) * 104729) % 3 - 1
    return max(1, min(10, 2 + len(response.split()) // 2 + chance))
