"""The recipe of ``spct train all``: a section per stage with that stage's own keys, and ablations as overrides of them.

Failure rule: whatever is wrong, in any section or ablation, is one InputError before the first stage starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from spct.errors import InputError
from spct.recipe import OneOrMore, Strict, parse_recipe, put, read_values, unknown_key
from spct.train import load_stages
from spct.train.common.recipe import EngineRecipe
from spct.train.stage import Section

MAIN = "main"


class MeasuredRecipe(Strict):
    """A benchmark by its name in ``spct bench list``, its files, and the part of it that is judged."""

    name: str = Field(min_length=1)
    data: Path
    subset: OneOrMore[str] = ()
    limit: int | None = Field(default=None, ge=1)


class BenchRecipe(EngineRecipe):
    """The options of ``spct bench`` by their names, for all of ``benchmarks``; ``model`` is the model before training.

    ``classifier_option`` are options of the classifiers: the meta RM that guides, and the baselines scalar and PairRM.
    """

    benchmarks: tuple[MeasuredRecipe, ...] = Field(min_length=1)
    k: int | None = Field(default=None, ge=1)
    greedy: bool = True
    principles: str | None = Field(default=None, pattern="^(self|given|query)$")
    retries: int | None = Field(default=None, ge=0)
    block_size: int | None = None
    adaptive: float | None = None
    k_meta: int | None = Field(default=None, ge=1)
    classifier_option: dict[str, Any] = Field(default_factory=dict)
    rule: str | None = Field(default=None, pattern="^(sum|mean|expected)$")
    tie_rule: str | None = Field(default=None, pattern="^(random|first|last)$")
    replicates: int | None = Field(default=None, ge=1)
    plots: bool | None = None


class AllRecipe(Strict):
    """``model`` is trained and ``seed`` used wherever a section does not say otherwise. A stage without section is not run.

    ``launch`` is a configuration of accelerate for the stages that train. ``stages`` are those of your own, each
    ``module:NAME`` or ``file.py:NAME``. ``ablations`` map a name to overrides: dotted keys of the recipe (``rl.beta``) and their
    values; a section that is null is left out. The sections are keys too, which ``read_recipe`` adds.
    """

    model: str = Field(min_length=1)
    out: Path | None = None
    seed: int = Field(default=0, ge=0)
    launch: Path | None = None
    stages: tuple[str, ...] = ()
    ablations: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def sections(self) -> dict[str, Section]:
        """The sections that are there, by stage."""
        found = {name: getattr(self, name) for name in type(self).model_fields if name not in AllRecipe.model_fields}
        return {name: section for name, section in found.items() if section is not None}


def read_recipe(path: Path, overrides: Mapping[str, Any]) -> dict[str, AllRecipe]:
    """The recipe in a YAML file with ``overrides`` over it: by branch, ``main`` first and then the ablations.

    Raises InputError. The sections' own keys are checked by ``plan``.
    """
    values = read_values(path)
    own = values.get("stages", [])
    if not isinstance(own, list) or not all(isinstance(id, str) for id in own):
        raise InputError(f"{path}: stages: got {own!r}; expected a list of module:NAME or file.py:NAME")
    stages = list(load_stages(own))
    for name in stages:
        if name in values and values[name] is None:
            raise InputError(f"{path}: {name} is empty; write {name}: {{}} for its defaults, or leave it out")
    for name, value in overrides.items():
        _override(values, name, value, stages, f"{path}: --set")
    fields: Any = dict.fromkeys(stages, (dict[str, Any] | None, None))
    kind = create_model("AllRecipe", __base__=AllRecipe, **fields)
    main = parse_recipe(kind, values, str(path))
    if not main.sections():
        raise InputError(f"{path}: has no stage; expected at least one of {', '.join(stages)}")
    branches: dict[str, AllRecipe] = {MAIN: main}
    for name, changes in main.ablations.items():
        where = f"{path}: ablations.{name}"
        if name == MAIN or not name.replace("-", "").replace("_", "").isalnum():
            raise InputError(f"{path}: ablations: got the name {name!r}; expected letters, digits, - and _, not main")
        if not changes:
            raise InputError(f"{where}: changes nothing; expected overrides such as rl.beta: 0")
        changed = dict(values)
        for key, value in changes.items():
            _override(changed, key, value, stages, where)
        branches[name] = parse_recipe(kind, changed, where)
    return branches


def _override(values: dict[str, Any], name: str, value: Any, stages: Sequence[str], where: str) -> None:
    """Set a dotted key; a section that becomes None goes, as does a baseline."""
    first, *rest = name.split(".")
    changeable = [*stages, "model", "seed"]
    if first not in changeable:
        raise InputError(f"{where}: {unknown_key(name, first, changeable)}")
    outer = put(values, name, value)
    if value is None and (not rest or (first == "baselines" and len(rest) == 1)):
        del outer[rest[-1] if rest else first]
