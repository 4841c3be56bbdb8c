"""A judge for the tests of the adapters: the score of a response is the number of letters e in it, 1 to 10."""

from __future__ import annotations

import re
from typing import Any

from spct import GRM
from spct.engines import SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text

SHOWN = re.compile(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", re.DOTALL)


def shown_in(request: SampleRequest) -> list[str]:
    """The responses of a request, in the order shown."""
    return SHOWN.findall(request.messages[-1].content)


def judging(request: SampleRequest, j: int) -> str:
    """A response that holds ``?`` spoils the judgment: no box."""
    shown = shown_in(request)
    if any("?" in response for response in shown):
        return "I cannot say."
    return judgment_text([min(10, max(1, response.count("e"))) for response in shown])


def letters(**settings: Any) -> GRM:
    """A GRM over ``judging``."""
    return GRM(ScriptedEngine(judging), **{"k": 2, "retries": 0, **settings})


def requests_of(grm: GRM) -> list[SampleRequest]:
    """What the engine of ``letters()`` was asked."""
    assert isinstance(grm.engine, ScriptedEngine)
    return grm.engine.requests
