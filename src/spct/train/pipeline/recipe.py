"""The recipe of ``spct train all``: a section per stage with that stage's own keys, and ablations as overrides of them.

Failure rule: whatever is wrong, in any section or ablation, is one InputError before the first stage starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from spct.errors import InputError
from spct.recipe import OneOrMore, Strict, parse_recipe, read_values, unknown_key
from spct.train.common.recipe import EngineRecipe

STAGES = ("data", "rft", "sft", "rl", "gguf", "samples", "meta", "baselines", "bench", "export")
"""In the order of their running. ``gguf`` are files of the models, by which ``samples`` and ``bench`` then judge; ``samples`` are
judgments of the trained GRM, which the meta RM learns too."""
BASELINES = ("scalar", "pairrm", "cloud")
MAIN = "main"
CHANGEABLE = (*STAGES, "model", "seed")
"""What an override may begin with."""

Section = dict[str, Any]


class SamplingRecipe(EngineRecipe):
    """The options of ``spct train rft-data`` by their names; ``items`` is its argument."""

    items: Path
    n_rft: int | None = Field(default=None, ge=1)
    hinted: bool | None = None
    single_template: str | None = None
    rejection: bool | None = None
    skip_bad: bool | None = None


class CritiquesRecipe(EngineRecipe):
    """The options of ``spct train critiques`` by their names; ``items`` are its arguments."""

    items: tuple[Path, ...] = Field(min_length=1)
    k: int | None = Field(default=None, ge=1)
    retries: int | None = Field(default=None, ge=0)
    skip_bad: bool | None = None

    ordering: None = None  # of one response there is one order, and no grammar for free text
    grammar: None = None


class ExportRecipe(Strict):
    """The options of ``spct train export`` by their names; ``model`` is its argument."""

    model: str = Field(min_length=1)
    encoding: tuple[Literal["F16", "Q8_0"], ...] = ()
    name: str | None = None
    prompts: Path | None = None
    check: bool | None = None
    threads: int | None = Field(default=None, ge=1)


class GgufRecipe(Strict):
    """Files by which a GGUF ``engine`` judges in place of transformers; the other keys are options of ``spct train export``."""

    engine: Literal["openvino", "llamacpp"]
    encoding: Literal["F16", "Q8_0"] = "Q8_0"
    prompts: Path | None = None
    check: bool | None = None
    threads: int | None = Field(default=None, ge=1)


class BenchmarkRecipe(Strict):
    """A benchmark by its name in ``spct bench list``, its files, and the part of it that is judged."""

    name: str = Field(min_length=1)
    data: Path
    subset: OneOrMore[str] = ()
    limit: int | None = Field(default=None, ge=1)


class BenchRecipe(EngineRecipe):
    """The options of ``spct bench`` by their names, for all of ``benchmarks``; ``model`` is the model before training.

    ``classifier_option`` are options of the classifiers: the meta RM that guides, and the baselines scalar and PairRM.
    """

    benchmarks: tuple[BenchmarkRecipe, ...] = Field(min_length=1)
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

    ``launch`` is a configuration of accelerate for the stages that train. ``ablations`` map a name to overrides: dotted
    keys of the recipe (``rl.beta``) and their values; a section that is null is left out.
    """

    model: str = Field(min_length=1)
    out: Path | None = None
    seed: int = Field(default=0, ge=0)
    launch: Path | None = None
    data: Section | None = None
    rft: Section | None = None
    sft: Section | None = None
    rl: Section | None = None
    gguf: Section | None = None
    samples: Section | None = None
    meta: Section | None = None
    baselines: Section | None = None
    bench: Section | None = None
    export: Section | None = None
    ablations: dict[str, dict[str, Any]] = Field(default_factory=dict)


def read_recipe(path: Path, overrides: Mapping[str, Any]) -> dict[str, AllRecipe]:
    """The recipe in a YAML file with ``overrides`` over it: by branch, ``main`` first and then the ablations.

    Raises InputError. The sections' own keys are checked by ``plan``.
    """
    values = read_values(path)
    for name in STAGES:
        if name in values and values[name] is None:
            raise InputError(f"{path}: {name} is empty; write {name}: {{}} for its defaults, or leave it out")
    for name, value in overrides.items():
        _put(values, name, value, f"{path}: --set")
    main: AllRecipe = parse_recipe(AllRecipe, values, str(path))
    if not any(getattr(main, stage) is not None for stage in STAGES):
        raise InputError(f"{path}: has no stage; expected at least one of {', '.join(STAGES)}")
    branches = {MAIN: main}
    for name, changes in main.ablations.items():
        if name == MAIN or not name.replace("-", "").replace("_", "").isalnum():
            raise InputError(f"{path}: ablations: got the name {name!r}; expected letters, digits, - and _, not main")
        branches[name] = _ablation(values, changes, f"{path}: ablations.{name}")
    return branches


def _ablation(values: Mapping[str, Any], changes: Mapping[str, Any], where: str) -> AllRecipe:
    changed = dict(values)
    if not changes:
        raise InputError(f"{where}: changes nothing; expected overrides such as rl.beta: 0")
    for name, value in changes.items():
        _put(changed, name, value, where)
    return parse_recipe(AllRecipe, changed, where)


def _put(values: dict[str, Any], name: str, value: Any, where: str) -> None:
    """Set a dotted key; a section that becomes None goes."""
    *outer, last = name.split(".")
    first = outer[0] if outer else last
    if first not in CHANGEABLE:
        raise InputError(f"{where}: {unknown_key(name, first, CHANGEABLE)}")
    for key in outer:
        inner = values.get(key)
        values[key] = values = dict(inner) if isinstance(inner, Mapping) else {}
    if value is None and (not outer or outer == ["baselines"]):
        values.pop(last, None)
    else:
        values[last] = value
