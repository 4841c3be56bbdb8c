"""The judges of a service: one for each set of options in use, the least recently used going first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

import orjson

from spct.engines.engine import Engine
from spct.judges.grm import GRMJudge
from spct.judges.judge import Judge
from spct.judges.settings import JudgeSettings
from spct.meta import MetaRM
from spct.service.options import JudgeOptions
from spct.service.recording import Recorder, Recording
from spct.service.rewards import Scale, scale_of

MakeJudge = Callable[[JudgeSettings, MutableMapping[str, str] | None], Judge]
"""Makes the judge of some settings; the mapping is where it looks for query-only principles and puts them."""

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

    def make(settings: JudgeSettings, principles_kept: MutableMapping[str, str] | None) -> Judge:
        return GRMJudge(engine, settings, principles_kept=principles_kept, meta=meta)

    return make


class Judges:
    """Makes the judge of each set of options once. The judge without options stays."""

    def __init__(self, make: MakeJudge, settings: JudgeSettings, recording: Recording | None) -> None:
        self._make = make
        self._settings = settings
        self._recording = recording
        self._others: OrderedDict[JudgeOptions, ServedJudge] = OrderedDict()
        self.main = self._made(settings)

    def of(self, options: JudgeOptions) -> ServedJudge:
        """Raises InputError or TemplateError for options that this judge cannot follow, RunError if it is not recorded."""
        found = self._others.get(options)
        if found is not None:
            self._others.move_to_end(options)
            return found
        settings = options.apply(self._settings)
        made = self.main if settings == self._settings else self._made(settings)
        self._others[options] = made
        if len(self._others) > KEPT_JUDGES:
            self._others.popitem(last=False)
        return made

    def _made(self, settings: JudgeSettings) -> ServedJudge:
        judge = self._make(settings, None)
        described = judge.describe()
        recorder = None if self._recording is None else self._recording.run_of(described)
        if recorder is not None:
            judge = self._make(settings, recorder.principles)
        digest = hashlib.blake2b(orjson.dumps(described, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
        return ServedJudge(judge, digest, scale_of(judge), recorder)
