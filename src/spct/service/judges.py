"""The judges of a service: one for each set of options in use, the least recently used going first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import orjson

from spct.engines.engine import Engine
from spct.judges import judge_of
from spct.judges.judge import Judge
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import scale_of
from spct.meta import MetaRM
from spct.service.options import JudgeOptions
from spct.service.recording import Recorder, Recording
from spct.service.rewards import Scale

MakeJudge = Callable[[JudgeSettings], Judge]
"""Makes the judge of some settings, all over one engine."""

KEPT_JUDGES = 64


@dataclass(frozen=True, slots=True)
class ServedJudge:
    """A judge, a digest of all that its verdicts depend on besides the item, its scale, and where it is recorded."""

    judge: Judge
    digest: str
    scale: Scale | None
    recorder: Recorder | None


def grm_judges(engine: Engine, meta: MetaRM | None = None) -> MakeJudge:
    """Makes generative reward models over one engine, and one meta RM if given."""

    def make(settings: JudgeSettings) -> Judge:
        return judge_of(engine, settings, meta)

    return make


class Judges:
    """Makes the judge of each set of options once. ``first``, that without options, stays."""

    def __init__(self, make: MakeJudge, settings: JudgeSettings, recording: Recording | None) -> None:
        self._make = make
        self._settings = settings
        self._recording = recording
        self._others: OrderedDict[JudgeOptions, ServedJudge] = OrderedDict()
        self.first = make(settings)

    @cached_property
    def main(self) -> ServedJudge:
        """The judge without options; its run is opened at the first use, when its engine is started. Raises RunError."""
        return self._served(self.first)

    def of(self, options: JudgeOptions, caller: str = "") -> ServedJudge:
        """The judge with these options, for a caller that has a share of those that are recorded.

        Raises InputError or TemplateError for options that this judge cannot follow, RunError if it is not recorded.
        """
        found = self._others.get(options)
        if found is not None:
            self._others.move_to_end(options)
            return found
        settings = options.apply(self._settings)
        made = self.main if settings == self._settings else self._served(self._make(settings), caller)
        self._others[options] = made
        if len(self._others) > KEPT_JUDGES:
            self._others.popitem(last=False)
        return made

    def _served(self, judge: Judge, caller: str = "") -> ServedJudge:
        described = judge.describe()
        recorder = None if self._recording is None else self._recording.run_of(judge, caller)
        digest = hashlib.blake2b(orjson.dumps(described, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
        return ServedJudge(judge, digest, scale_of(judge.settings, judge.templates), recorder)
