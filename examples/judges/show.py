"""Every template of this folder with a scripted model that answers in its form: right, tied, malformed.

    python examples/judges/show.py      # the table of docs/released-judges.md

The scripted model finds the two responses in the prompt, whatever their order, and writes what the judge would write of
them; so what is shown is the whole way from prompt to verdict but for the model. Each cell: an answer, and the verdict over
four of its kind. A judge whose form has no word for a tie names whatever stands second where both are level: over balanced
orders that is a tie. A judge of one response has none.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spct import Item, Message, Verdict
from spct.engines.scripted import ScriptedEngine
from spct.judges import load_judge
from spct.judges.settings import judge_settings

FOLDER = Path(__file__).parent
GOOD, BAD = "Paris.", "It may be Lyon."
QUERY = "What is the capital of France?"
K = 4


@dataclass(frozen=True, slots=True)
class Form:
    """What a judge writes: ``said(a, b)`` of two responses worth a and b, ``broken``, what is no answer of its form.

    ``alone`` says that it sees one response at a time.
    """

    said: Callable[[int, int], str]
    broken: str
    alone: bool = False


def letter(a: int, b: int) -> str:
    return "A" if a > b else "B"


def objects(a: int, b: int) -> str:
    return json.dumps({"thoughts": "One is right.", "scores": {"model-1": a, "model-2": b}})


def ranked(a: int, b: int) -> str:
    return json.dumps({"best-to-worst": ["model-1", "model-2"] if a > b else ["model-2", "model-1"]})


FORMS = {
    "deepseek-grm": Form(lambda a, b: f"Analysis: ...\nScores: \\boxed{{{2 * a}.5, {2 * b}.5}}", "Scores: \\boxed{8}"),
    "genrm": Form(lambda a, b: f'{{"score_1": {a}, "score_2": {b}}}', '{"score_1": 4, "score_2": 2'),
    "genrm-ranking": Form(lambda a, b: f'{{"ranking": {2 if a > b else 5}}}', '{"ranking": 0}'),
    "rm-r1": Form(lambda a, b: f"<think>...</think>\n<answer>[[{letter(a, b)}]]</answer>", "<answer>A</answer>"),
    "j1": Form(lambda a, b: f"<think>...</think>\n\\boxed{{{2 * a}, {2 * b}}}", "<think>\\boxed{8, 4}"),
    "rewardanything": Form(objects, '{"scores": {"model-1": 4}}'),
    "rewardanything-ranking": Form(ranked, '{"best-to-worst": ["model-1", "model-1"]}'),
    "prometheus": Form(lambda a, b: f"It is right. [RESULT] {a}", "It is right. [RESULT] 4/5", alone=True),
    "prometheus-pair": Form(lambda a, b: f"One is right. [RESULT] {letter(a, b)}", "[RESULT] both"),
    "skywork-critic": Form(lambda a, b: f"One is right.\n[[{letter(a, b)}]]", "[[A]] or [[B]]"),
    "compass-judger": Form(lambda a, b: f"One is right.\nChoice: {letter(a, b)}", "Choice: neither"),
    "con-j": Form(lambda a, b: f'{{"rationale": "...", "better": {1 if a > b else 2}}}', '{"better": null}'),
    "offsetbias": Form(lambda a, b: f"Output ({letter(a, b).lower()})", "Output (a) is better"),
    "selene": Form(lambda a, b: f"**Reasoning:** right\n\n**Result:** {a}", "**Result:** good", alone=True),
    "flow-judge": Form(lambda a, b: f"<feedback>right</feedback>\n<score>{a}</score>", "<score>9</score>", alone=True),
    "brrm": Form(lambda a, b: f"One is right.\n\\boxed{{{1 if a > b else 2}}}", "\\boxed{3}"),
    "rubric-rm": Form(lambda a, b: f"1. Right: ...\nWinner: Response {letter(a, b)}", "Winner: A"),
    "with-a-tie": Form(lambda a, b: f"[[{'C' if a == b else letter(a, b)}]]", "[[D]]"),
    "seven-steps": Form(lambda a, b: f"[[{'A=B' if a == b else 'A>>B' if a > b else 'B>>A'}]]", "[[A>>>>B]]"),
    "percent": Form(lambda a, b: f"Scores: [{20 * a}, {20 * b}]", "Scores: [80%, 40%]"),
    "box-each": Form(lambda a, b: f"Scores:\n\\boxed{{{2 * a}}}, \\boxed{{{2 * b}}}", "Scores:\n\\boxed{8}"),
}


def scripted(answer: Callable[[int, int], str], worth: dict[str, int]) -> ScriptedEngine:
    """A model that says ``answer`` of what its prompt shows first and second, by what each text is worth."""

    def script(request: object, j: int) -> str:
        prompt = "\n".join(message.content for message in engine.requests[-1].messages)
        if "Do not judge the responses yet." in prompt:
            return "1. Is it right?"
        first = GOOD if BAD not in prompt or -1 < prompt.find(GOOD) < prompt.find(BAD) else BAD
        other = BAD if first == GOOD else GOOD
        return answer(worth[first], worth[other])

    engine = ScriptedEngine(script)
    return engine


def judged(name: str, answer: Callable[[int, int], str], worth: dict[str, int], alone: bool) -> Verdict:
    """The verdict of the template ``name`` over K judgments of that model, half of them in either order."""
    judge = load_judge(
        "grm", scripted(answer, worth), judge_settings(template=str(FOLDER / f"{name}.jinja"), k=K, retries=0)
    )
    return asyncio.run(judge.judge(Item(name, (Message("user", QUERY),), (GOOD,) if alone else (GOOD, BAD))))


def spelled(verdict: Verdict) -> str:
    """A verdict in a few words."""
    if verdict.means is None:
        codes = Counter(judgment.problem.code for judgment in verdict.judgments if judgment.problem is not None)
        return "no verdict: " + ", ".join(f"{code} {count}" for code, count in codes.items())
    means = ", ".join(f"{mean:g}" for mean in verdict.means)
    if verdict.n == 1:
        return f"score {means}"
    return f"tied, {means}" if verdict.tied else f"response {verdict.ranking[0] + 1}, {means}"


def cells(name: str, form: Form) -> Iterator[str]:
    """What is written and what comes of it: where the first response is better, where both are level, where it is malformed."""
    for answer, worth in (
        (form.said, {GOOD: 4, BAD: 2}),
        (None if form.alone else form.said, {GOOD: 3, BAD: 3}),
        (lambda a, b: form.broken, {GOOD: 4, BAD: 2}),
    ):
        if answer is None:
            yield "-"
            continue
        last = answer(worth[GOOD], worth[BAD]).splitlines()[-1].replace("|", "\\|")
        yield f"`{last}`: {spelled(judged(name, answer, worth, form.alone))}"


def table() -> str:
    """The whole table, in Markdown."""
    lines = ["| template | right | tied | malformed |", "| --- | --- | --- | --- |"]
    lines += [f"| `{name}` | {' | '.join(cells(name, form))} |" for name, form in FORMS.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
