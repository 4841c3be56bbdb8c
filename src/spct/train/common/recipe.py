"""Recipes of the training stages: a YAML file and the command line's flags, checked key by key before anything is loaded.

Failure rule: whatever is wrong with a recipe is one InputError that names the key, and the nearest known one where it is
unknown. A stage derives its recipe from ``TrainingRecipe``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from spct.errors import InputError

R = TypeVar("R", bound=BaseModel)


class Strict(BaseModel):
    """Unknown keys are errors; values do not change once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class LoraRecipe(Strict):
    """A LoRA adapter in place of full fine-tuning. ``targets`` are module names, or all linear layers but the head."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str | tuple[str, ...] = "all-linear"


class TrainingRecipe(Strict):
    """What every stage that trains has. ``batch`` counts what one optimizer step sees over all processes.

    ``model`` is a hub id, a directory, a ``.gguf`` path, ``hf:OWNER/REPO/FILE.gguf`` or a name of the catalogue.
    ``micro_batch`` is what one process has in memory at once. ``max_tokens`` is the longest sequence, the model's context
    if None. ``precision`` "auto" is bfloat16 on a GPU that has it, else float32. ``warmup`` is a share of the steps.
    ``keep`` is the number of checkpoints left on disk.
    """

    model: str = Field(min_length=1)
    out: Path | None = None
    seed: int = Field(default=0, ge=0)
    learning_rate: float = Field(gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup: float = Field(default=0.03, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    batch: int = Field(ge=1)
    micro_batch: int = Field(default=1, ge=1)
    steps: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=8)
    lora: LoraRecipe | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu"] = "auto"
    gradient_checkpointing: bool = False
    save_every: int = Field(default=100, ge=1)
    keep: int = Field(default=2, ge=1)
    log_every: int = Field(default=10, ge=1)
    report_to: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()

    @model_validator(mode="after")
    def _divisible(self) -> TrainingRecipe:
        if self.batch % self.micro_batch:
            raise ValueError(f"batch is {self.batch} and micro_batch {self.micro_batch}; expected a multiple of it")
        return self

    def accumulation(self, processes: int) -> int:
        """Micro batches of one process per optimizer step. Raises InputError where ``batch`` cannot be shared out."""
        at_once = self.micro_batch * processes
        if self.batch % at_once:
            raise InputError(
                f"batch is {self.batch}, which {processes} processes with micro_batch {self.micro_batch} cannot share; "
                f"expected a multiple of {at_once}"
            )
        return self.batch // at_once


def load_recipe(kind: type[R], path: Path | None, flags: Mapping[str, Any]) -> R:
    """The recipe in a YAML file with ``flags`` over it: dotted names (``lora.rank``), those of value None left out.

    Raises InputError.
    """
    values = {} if path is None else read_values(path)
    for name, value in flags.items():
        if value is not None:
            _put(values, name.split("."), value)
    return parse_recipe(kind, values, "the options" if path is None else str(path))


def parse_recipe(kind: type[R], values: Any, where: str = "recipe") -> R:
    """Check a recipe given as values. Raises InputError."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: got {type(values).__name__}; expected keys such as {', '.join(_some(kind))}")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {_sentence(kind, error.errors()[0])}") from error


def flag_values(pairs: Mapping[str, Any], extra: tuple[str, ...]) -> dict[str, Any]:
    """``pairs`` and the ``NAME=VALUE`` of ``--set``, whose values are YAML. Raises InputError."""
    values = dict(pairs)
    for pair in extra:
        name, equals, value = pair.partition("=")
        if not (equals and name):
            raise InputError(f"--set {pair!r}: expected NAME=VALUE, as in --set lora.rank=8")
        try:
            values[name.replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {pair!r}: {value!r} is no YAML: {' '.join(str(error).split())}") from error
    return values


def read_values(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file. Raises InputError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a recipe: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: got invalid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: got {type(values).__name__}; expected keys and values")
    return values


def _put(values: dict[str, Any], name: list[str], value: Any) -> None:
    for key in name[:-1]:
        inner = values.get(key)
        values[key] = values = dict(inner) if isinstance(inner, Mapping) else {}
    values[name[-1]] = value


def _sentence(kind: type[BaseModel], error: ErrorDetails) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return unknown_key(place, str(error["loc"][-1]), list(_model_at(kind, error["loc"][:-1]).model_fields))
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{place}: {message}" if place else message
    got = "" if error["type"] == "missing" else f", got {str(error['input'])[:60]!r}"
    return f"{place}: {message[0].lower()}{message[1:]}{got}"


def unknown_key(place: str, key: str, known: Sequence[str]) -> str:
    """What is said of a key at ``place`` that is none of the known: the nearest of them, or all."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
    return f"unknown key {place!r}; {hint}"


def _model_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    for key in place:
        field = kind.model_fields.get(str(key))
        kind = next(_models_in(field.annotation), kind) if field is not None else kind
    return kind


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _some(kind: type[BaseModel]) -> list[str]:
    return list(kind.model_fields)[:3]
