"""Items of mixed n through ``spct.judges.grm``: the same code as ``spct judge`` and ``spct bench``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spct.engines import Engine
from spct.judges.grm import GRMJudge
from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings
from spct.run import judge_items, opened_run
from spct.train.common.mixed import MixedJudge
from spct.types import Item
from spct.voting.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Asking:
    """How items are judged: k judgments at this temperature, no second attempt, so that an invalid one counts."""

    template: str
    single: str
    k: int
    temperature: float
    max_tokens: int
    seed: int

    def judge(self, engine: Engine) -> MixedJudge:
        sampling = SamplingSettings(temperature=self.temperature, max_tokens=self.max_tokens, retries=0)
        settings = JudgeSettings(k=self.k, seed=self.seed, template=self.template, sampling=sampling)
        return MixedJudge(GRMJudge, engine, settings, self.single)


async def judge_all(
    engine: Engine,
    items: Sequence[Item],
    asking: Asking,
    *,
    out: Path | None = None,
    session: Mapping[str, Any] = MappingProxyType({}),
    on_item: Callable[[], None] = lambda: None,
) -> list[Verdict]:
    """Verdicts in the order of ``items``; starts and closes the engine.

    With ``out``, every sample is kept in a run there, which a later call goes on with; ``session`` is what is
    noted of this call, such as its input. Raises ResumeRefusedError where the run was made with other settings or items,
    EngineError where the engine cannot go on.
    """
    await engine.start()
    judge = asking.judge(engine)
    try:
        with contextlib.nullcontext() if out is None else opened_run(out, judge, resume=True, session=session) as store:
            outcomes = judge_items(judge, items, in_flight=engine.capabilities.concurrency, store=store)
            verdicts = []
            async with contextlib.aclosing(outcomes):
                async for outcome in outcomes:
                    verdicts.append(outcome.verdict)
                    on_item()
            return verdicts
    finally:
        await engine.close()
