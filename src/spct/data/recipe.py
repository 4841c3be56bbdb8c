"""The recipe of ``spct data build``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from spct.data.forms import FORMS, Form
from spct.recipe import Strict

TRAIN = "train"


class SourceRecipe(Strict):
    """One source. ``share`` is of all items, ``count`` is a number of them; with neither, what is still needed.

    ``path`` is a file or directory as upstream lays it out; ``hub`` is true for the source's own data set, or another's
    name. ``files`` narrows the files down (globs over their paths), ``only`` the rows (key and value). ``reference``
    puts the reference answer into the items, so that the judge reads it. ``on_bad`` says what a broken row does.
    """

    kind: str
    name: str = ""
    path: Path | None = None
    hub: bool | str = False
    revision: str | None = None
    files: tuple[str, ...] = ()
    only: dict[str, str | int | bool] = Field(default_factory=dict)
    share: float | None = Field(default=None, gt=0, le=1)
    count: int | None = Field(default=None, ge=1)
    forms: tuple[Form, ...] = Field(default=FORMS, min_length=1)
    reference: bool = False
    on_bad: str = Field(default="stop", pattern="^(stop|drop)$")

    @field_validator("path", mode="before")
    @classmethod
    def _no_blank(cls, value: object) -> object:
        if value == "":
            raise ValueError("an empty path; expected a file or directory")
        return value

    @model_validator(mode="after")
    def _one_of_each(self) -> SourceRecipe:
        if bool(self.path) == bool(self.hub):
            raise ValueError("expected exactly one of path and hub")
        if self.share is not None and self.count is not None:
            raise ValueError("expected at most one of share and count")
        return self

    @property
    def label(self) -> str:
        """The name in ids and reports."""
        return self.name or self.kind


class ExcludedRecipe(Strict):
    """A benchmark whose queries must not be trained on: its name in ``spct bench list`` and its files (or "hub")."""

    name: str
    path: Path


class ContaminationRecipe(Strict):
    """The overlap that is removed; see ``overlap``."""

    benchmarks: tuple[ExcludedRecipe, ...] = ()
    words: int = Field(default=8, ge=3, le=50)
    threshold: float = Field(default=0.5, gt=0, le=1)


class DataRecipe(Strict):
    """The whole recipe. ``forms`` are shares over all items, ``split`` over conversations; ``max_chars`` leaves out items
    whose query and responses are longer.
    """

    sources: tuple[SourceRecipe, ...] = Field(min_length=1)
    size: int | None = Field(default=None, ge=1)
    forms: dict[Form, float] | None = None
    split: dict[str, float] = Field(default_factory=lambda: {TRAIN: 0.95, "heldout": 0.05})
    max_chars: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    contamination: ContaminationRecipe = ContaminationRecipe()
    out: Path | None = None

    @model_validator(mode="after")
    def _consistent(self) -> DataRecipe:
        labels = [source.label for source in self.sources]
        if again := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"sources: {again[0]!r} is there twice; give one of them a name")
        shares = [source.share for source in self.sources if source.share is not None]
        if sum(shares) > 1 + 1e-9:
            raise ValueError(f"sources: the shares add up to {sum(shares):g}; expected at most 1")
        if len(shares) == len(labels) and sum(shares) < 1 - 1e-6:
            raise ValueError(f"sources: every one has a share and they add up to {sum(shares):g}; expected 1")
        for key, parts in (("forms", self.forms), ("split", self.split)):
            if parts is not None:
                _check_shares(key, parts.items())
        if bad := [name for name in self.split if not name.replace("-", "").replace("_", "").isalnum()]:
            raise ValueError(f"split: got the name {bad[0]!r}; expected letters, digits, - and _: it names a file")
        return self


def _check_shares(key: str, parts: Iterable[tuple[str, float]]) -> None:
    listed = list(parts)
    for name, share in listed:
        if not (math.isfinite(share) and share >= 0):
            raise ValueError(f"{key}: {name} is {share}; expected 0 or more")
    if abs(sum(share for _, share in listed) - 1) > 1e-6:
        raise ValueError(f"{key}: the shares add up to {sum(share for _, share in listed):g}; expected 1")
