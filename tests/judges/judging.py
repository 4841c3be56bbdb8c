"""Items, and scripts that answer judges' prompts by the quality of the responses they show."""

import re
from dataclasses import replace

from spct.engines.engine import Capabilities
from spct.engines.scripted import Sample, ScriptedEngine
from spct.judges import load_judge
from spct.judges.memory import Memory
from spct.judges.settings import judge_settings
from spct.types import Item, Message, TokenLogprob

NAMES = ("ALPHA", "BRAVO", "CHARLIE", "DELTA", "ECHO")


def item(n=2, **changes):
    return replace(Item(f"of {n}", (Message("user", "Which is best?"),), NAMES[:n]), **changes)


def shown(request):
    """The indices of the responses in the order in which the prompt shows them."""
    return [NAMES.index(name) for name in re.findall("|".join(NAMES), request.messages[-1].content)]


def names_best(quality):
    """Names the best of what it is shown: no bias for a place."""

    def script(request, j):
        places = shown(request)
        best = max(range(len(places)), key=lambda place: quality[places[place]])
        return rf"#### Best Response {j}" + "\n" + rf"\boxed{{{best + 1}}}"

    return script


def index_sample(probabilities, said, **others):
    """An answer in a box with log-probabilities at the number; ``others`` are further tokens listed there."""
    from math import log

    top = [(str(i), log(p)) for i, p in enumerate(probabilities, 1)] + [(t, log(p)) for t, p in others.items()]
    middle = TokenLogprob(str(said), dict(top)[str(said)], tuple(top))
    tokens = (TokenLogprob("\\boxed{", -0.1), middle, TokenLogprob("}", -0.1))
    return Sample("".join(token.token for token in tokens), "stop", 0, logprobs=tokens)


def logprob_engine(script):
    return ScriptedEngine(script, capabilities=Capabilities(seeding="sample", logprobs=True))


class Remembers(Memory):
    """A memory of ``history`` that keeps what it is told in ``requests``: judgments, usage and prompt of each."""

    def __init__(self, history=()):
        self.history = history
        self.requests = []

    def record(self, judgments, usage, prompt=()):
        self.requests.append((list(judgments), usage, prompt))


async def judged(kind, model, an_item, history=(), memory=None, options=None, **settings):
    judge = load_judge(kind, model, judge_settings(**settings), **(options or {}))
    return await judge.judge(an_item, memory or Remembers(history))
