"""The judgments a meta RM learns from: those stored in runs, each labelled by Eq 10 against its item's ground truth.

Only what a meta RM is asked about later is used: valid judgments of all responses. Whatever else a run holds is counted.
Failure rule: a run that was sampled with hints, that is no run of a generative judge, or whose template is not the one
there is now (its prompts could not be rendered as they were) is an InputError.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from spct.errors import InputError
from spct.items import fingerprint
from spct.items.budget import within_budget
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import template_for
from spct.meta.cases import make_cases
from spct.meta.meta import Case
from spct.run import RunStore
from spct.run.connection import holds_run
from spct.run.rating import GENERATIVE, given_in
from spct.run.stored import stored_settings
from spct.templates import Template
from spct.train.rft.run import PLAIN
from spct.types import Item, Judgment
from spct.voting.accuracy import grade

FATES = ("correct", "incorrect", "invalid", "partial", "unlabelled")
"""What a stored judgment is to a meta RM; the first two are what it learns from."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One judgment to learn from; ``cluster`` names the query (or conversation) whose judgments stay together."""

    position: int
    item: Item
    judgment: Judgment
    correct: bool
    cluster: str


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run that is open for reading. ``single`` names the template of items with one response, where they have their own."""

    store: RunStore
    settings: JudgeSettings
    templates: Mapping[str, Template]
    single: str | None
    clusters: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.store.directory)

    def labelled(self, counts: Counter[str] | None = None) -> Iterator[Labelled]:
        """The judgments to learn from, in the run's order; ``counts`` takes what becomes of each of all."""
        counts = Counter() if counts is None else counts
        for position, item in self.store.items():
            cluster = self._cluster(item)
            for judgment in self.store.history(position):
                fate = _fate(judgment, item)
                counts[fate] += 1
                if fate in ("correct", "incorrect"):
                    yield Labelled(position, item, judgment, fate == "correct", cluster)

    def cases(self, item: Item, judgments: Sequence[Judgment], special_tokens: Sequence[str]) -> list[Case]:
        """The judgments as the meta RM will read them. Raises TemplateError."""
        settings = self.settings
        if self.single is not None and len(item.responses) == 1:
            settings = replace(settings, template=self.single)
        template = template_for(item, settings, self.templates)
        item = within_budget(item, settings.trajectory_chars)
        given = given_in(self.store, self.settings, self.templates, template)
        return make_cases(item, judgments, template, given, special_tokens=special_tokens)

    def _cluster(self, item: Item) -> str:
        query = fingerprint(replace(item, responses=(), reference=None, principles=None))
        return self.clusters.setdefault(query, str(item.extra.get("conversation") or query))


@contextlib.contextmanager
def opened_runs(paths: Sequence[Path]) -> Iterator[list[JudgedRun]]:
    """The runs in ``paths``, of which the outputs of spct train rft-data stand for their runs without hints.

    Raises InputError, RunError or TemplateError.
    """
    clusters: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        runs: list[JudgedRun] = []
        digests: dict[str, tuple[str, str]] = {}
        for path in paths:
            directory = path / PLAIN if holds_run(path / PLAIN) else path
            if any(directory.resolve() == run.store.directory.resolve() for run in runs):
                raise InputError(f"{directory} is there twice; expected each run once, to learn from or held out")
            store = stack.enter_context(contextlib.closing(RunStore.open(directory)))
            run, made_by = _open(store, clusters)
            for role, digest in made_by.items():
                first, known = digests.setdefault(role, (run.name, digest))
                if known != digest:
                    raise InputError(
                        f"{run.name} was made by another template than {first} ({role}: {digest} and {known}); a meta RM "
                        "learns the judgments of one; train on runs of one template"
                    )
            runs.append(run)
        yield runs


def _open(store: RunStore, clusters: dict[str, str]) -> tuple[JudgedRun, dict[str, str]]:
    """The run, and what its prompts were made of: names and digests of its templates."""
    written, settings = stored_settings(store)
    where = str(store.directory)
    if written.get("hint"):
        raise InputError(f"{where} was sampled with hints, which no judge has later; give the run without them")
    if written.get("judge") not in GENERATIVE or "template" not in written:
        what = written.get("judge") or written.get("imported") or "something else"
        raise InputError(f"{where} is a run of {what}; expected one of spct judge, spct bench or spct train rft-data")
    templates = store.templates()
    single = written.get("single_template")
    made_by = {"template": str(written["template"])} | ({"single_template": str(single)} if single else {})
    made_by |= {f"template.{name}": template.digest for name, template in templates.items()}
    return JudgedRun(store, settings, templates, None if single is None else str(single), clusters), made_by


def _fate(judgment: Judgment, item: Item) -> str:
    if judgment.problem is not None or judgment.scores is None:
        return "invalid"
    if len(judgment.order) < len(item.responses):
        return "partial"
    found = grade(judgment.scores, item)
    if found is None:
        return "unlabelled"
    return "correct" if found == "correct" else "incorrect"
