"""Small runs to look at: several judgments, ties, no verdict, other orders other winners, and texts that attack the page."""

from __future__ import annotations

import random
import re

from spct.engines.engine import Sample
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import judge_items, open_run
from spct.types import Item, Message

HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror=alert(1)>',
    "<style>body{display:none}</style> **bold** [a link](javascript:alert(1)) ![x](http://elsewhere.test/x.png)",
    "\u202eright to left\u202c \x1b[2J $\\text{<script>alert(1)</script>}$ </textarea></pre></main>",
)
ITEMS = [
    Item(
        "prime",
        (Message("system", "Be brief."), Message("user", "Name a prime above 10.")),
        ("11: nothing but 1 and 11 divides it.", "12, since it has **few** divisors.", "I would say 13."),
        best=0,
        extra={"domain": "maths"},
    ),
    Item("capital", (Message("user", "What is the capital of France?"),), ("Lyon.", "Paris."), best=1,
         extra={"domain": "facts"}),
    Item("river", (Message("user", "Which river runs through Vienna?"),), ("The Danube.", "The Rhine."), best=0,
         extra={"domain": "facts"}),
    Item("greeting", (Message("user", "Say hello in one word."),), ("Hello!", "Good day to you, dear friend."), best=0,
         extra={"domain": "style"}),
    Item("broken", (Message("user", "Say nothing at all."),), ("", "..."), best=1, extra={"domain": "style"}),
    Item("hostile", (Message("user", "<b>Who</b> are you? <script>alert(1)</script>"),), HOSTILE, best=2,
         extra={"domain": "attack"}),
    Item("long", (Message("user", "Write a long line."),), ("x" * 1_000_000, "short"), best=1,
         extra={"domain": "attack"}),
]  # fmt: skip
GOOD = {"11: nothing", "Paris.", "The Rhine.", HOSTILE[2][:8]}
"""How the responses begin that the judge likes: of "river" it is the wrong one, and it is sure of it."""


def script(request, j):
    """Likes what is in ``GOOD``; on "greeting" it likes what it is shown first; it never ends on "broken"."""
    prompt = request.messages[-1].content
    if "Say nothing at all" in prompt:
        return Sample("I cannot say", "length", 0, completion_tokens=3)
    shown = re.findall(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", prompt, re.DOTALL)
    draw = random.Random(request.seed + j)
    if "Say hello" in prompt:
        scores = [8] + [5] * (len(shown) - 1)
    else:
        scores = [
            draw.choice([8, 9]) if any(text.startswith(g) for g in GOOD) else draw.choice([2, 3, 4]) for text in shown
        ]
    best = scores.index(max(scores)) + 1
    said = [
        f"scores {score}. "
        + ("It is **correct** and beats the others." if i == best else f"Response {best} is better.")
        for i, score in enumerate(scores, 1)
    ]
    return Sample(judgment_text(scores, said, {"Correctness": 70, "Brevity": 30}), "stop", 0, reasoning="Let me see. " * 9,
                  completion_tokens=60)  # fmt: skip


async def make_run(directory, items=ITEMS, script=script, name="small", planned=None, **settings):
    """A run of a scripted judge over ``items``, the first of ``planned``."""
    engine = ScriptedEngine(script, name=name)
    judge = GRMJudge(engine, judge_settings(**{"k": 6, "retries": 0, **settings}))
    store = open_run(directory, judge, resume=False, session={"items": planned or len(items)})
    async for _ in judge_items(judge, items, in_flight=4, store=store):
        pass
    store.close()
