"""Does ``spct rubric learn`` find the criteria of the laboratory's world, which are known?

    python -m benchmarks.spct_lab.rubric [--items 300 600 1200] [--seeds 0 1 2] [--wrong 0.1]

What is right there: to meet what the query says must be (4 points), should be (2) and may be (1). The judge, as most of the
crowd, counts what is met and weighs nothing. The model that proposes questions knows those three and nine others that are
beside the point or nearly right, and answers a question about a response wrongly in a share ``--wrong`` of cases.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Callable, Mapping
from itertools import islice

from benchmarks.spct_lab.world import CATEGORY_OF, WEIGHTS, Requirement, cases

from spct.bench.learning.learn import Learned, learn
from spct.engines import SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.items import parse_item
from spct.judges.settings import judge_settings
from spct.voting.orders import keyed_hash

Words = tuple[str, ...]
Answer = Callable[[tuple[Requirement, ...], Words], bool]
ASKED = re.compile(r"\b(must|should|may) (have|lack|begin|end) (\w+)")
SHOWN = re.compile(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", re.DOTALL)


def meets(weight: int) -> Answer:
    return lambda query, words: any(one.weight == weight and one.met_by(words) for one in query)


TRUE: Mapping[str, Answer] = {
    "Does it keep to what is demanded?": meets(WEIGHTS["must"]),
    "Are the recommendations of the query followed?": meets(WEIGHTS["should"]),
    "Has it the optional part as well?": meets(WEIGHTS["may"]),
}
"""In words far from each other: ``rubric learn`` takes questions of nearly the same words for one."""
OTHERS: Mapping[str, Answer] = {
    "Is everything that was asked for there?": lambda query, words: all(one.met_by(words) for one in query),
    "Does it do two of the things that were wanted?": lambda query, words: sum(o.met_by(words) for o in query) >= 2,
    "Has it more than three words?": lambda query, words: len(words) > 3,
    "Is a fish named anywhere?": lambda query, words: any(CATEGORY_OF[word] == "fish" for word in words),
    "Does its first word stand for a flower?": lambda query, words: CATEGORY_OF[words[0]] == "flower",
    "Is each word of another sort?": lambda query, words: len({CATEGORY_OF[w] for w in words}) == len(words),
    "Are no two words the same?": lambda query, words: len(set(words)) == len(words),
    "Does the last word have more than four letters?": lambda query, words: len(words[-1]) > 4,
    "Would a cook own one of these?": lambda query, words: any(CATEGORY_OF[w] in ("dish", "spice") for w in words),
}
QUESTIONS = {**TRUE, **OTHERS}


def model(wrong: float) -> Callable[[SampleRequest, int], str]:
    """The judge, the author of questions and the one who answers them, in one."""

    def script(request: SampleRequest, j: int) -> str:
        text = request.messages[-1].content
        if "Name what makes the difference" in text:
            return "\n".join(f"- {question}" for question in QUESTIONS)
        query = tuple(Requirement(kind, category, WEIGHTS[word]) for word, kind, category in ASKED.findall(text))
        shown = [tuple(found.split()) for found in SHOWN.findall(text)]
        for question, answer in QUESTIONS.items():
            if question in text:
                said = [
                    int(answer(query, words) != _slips(wrong, request.seed + j, words, question)) for words in shown
                ]
                return rf"\boxed{{{', '.join(map(str, said))}}}"
        return judgment_text(
            [1 + 3 * sum(one.met_by(words) for one in query) for words in shown], f"{request.seed + j}"
        )

    return script


def _slips(wrong: float, *key: object) -> bool:
    return keyed_hash(*map(str, key)) % 10_000 < 10_000 * wrong


async def learned(items: int, seed: int, wrong: float) -> Learned:
    """What is learned from so many items of the world as ``seed`` draws it."""
    drawn = islice(cases(seed, heldout=False, sizes=(2, 3, 4), decided=0.75), items)
    rows = [parse_item(case.row(str(n)), where=f"case {n}") for n, case in enumerate(drawn)]
    return await learn(ScriptedEngine(model(wrong)), rows, judge_settings(k=1, seed=seed), name="world")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[300, 600, 1200])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--wrong", type=float, default=0.1)
    options = parser.parse_args()
    print("| items | seed | kept, with weights | judge | rubric | gain on items never used |")
    print("| ---: | ---: | --- | ---: | ---: | ---: |")
    for items in options.items:
        for seed in options.seeds:
            found = asyncio.run(learned(items, seed, options.wrong))
            kept = ", ".join(f"{_short(one.ask)} {one.weight:g}" for one in found.kept) or "none"
            after, gain = found.after or found.before, found.gain
            shown = "-"
            if gain is not None and gain.low is not None and gain.high is not None:
                shown = f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
            print(
                f"| {items:,} | {seed} | {kept} | {100 * found.before.value:.1f} | {100 * after.value:.1f} | {shown} |"
            )


def _short(question: str) -> str:
    """The word of a true criterion, another question in quotes."""
    return next((word for word, true in zip(WEIGHTS, TRUE, strict=True) if true == question), f'"{question}"')


if __name__ == "__main__":
    main()
