"""A scripted judge of real pairs that goes by length, and questions about what can be seen of a text without reading it.

    spct rubric learn llmbar.jsonl --model scripted:benchmarks/surface_judge.py:judge -k 1 --out surface.yaml

It stands for a poor judge whose mistakes have a cause that questions can name: what ``spct rubric learn`` makes of it is worked
out from the texts alone, and comes out the same on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from spct.engines import SampleRequest
from spct.engines.scripted import judgment_text

SHOWN = re.compile(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", re.DOTALL)
QUERY = re.compile(r"\[Turn \d+: user \w+\]\n(.*?)\n\[(?:Turn|End conversation)", re.DOTALL)
WORD = re.compile(r"[a-z']+")


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def said_again(query: str, text: str) -> float:
    """The share of a response's different words that are the query's."""
    own = set(words(text))
    return len(own & set(words(query))) / max(1, len(own))


QUESTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "Has it fewer than thirty words?": lambda query, text: len(text.split()) < 30,
    "Has it more than a hundred words?": lambda query, text: len(text.split()) > 100,
    "Is it laid out as a list?": lambda query, text: len(re.findall(r"^ *(?:[-*•]|\d+[.)]) ", text, re.M)) > 1,
    "Does it take most of its words from what was asked?": lambda query, text: said_again(query, text) > 0.5,
    "Are nearly all of its words its own?": lambda query, text: said_again(query, text) < 0.2,
    "Does it name figures?": lambda query, text: any(map(str.isdigit, text)),
    "Is there a question in it?": lambda query, text: "?" in text,
    "Does it speak of itself?": lambda query, text: "i" in words(text),
    "Does it end in the middle of a sentence?": lambda query, text: (
        not text.rstrip().endswith((".", "!", "?", '"', "`"))
    ),
    "Does it have several paragraphs?": lambda query, text: "\n\n" in text.strip(),
    "Does it apologise?": lambda query, text: bool({"sorry", "apologize", "apologies"} & set(words(text))),
}


def judge(request: SampleRequest, j: int) -> str:
    """Scores by length, proposes the questions, and answers them rightly."""
    text = request.messages[-1].content
    if "Name what makes the difference" in text:
        return "\n".join(f"- {question}" for question in QUESTIONS)
    shown, query = SHOWN.findall(text), "\n".join(QUERY.findall(text))
    asked = text.rpartition("[End response")[2]
    for question, answer in QUESTIONS.items():
        if question in asked:
            return rf"\boxed{{{', '.join(str(int(answer(query, response))) for response in shown)}}}"
    longest = max(map(len, shown))
    return judgment_text([1 + round(9 * len(response) / max(1, longest)) for response in shown], f"{request.seed + j}")
