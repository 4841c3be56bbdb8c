"""What is the same for every trainer: which prompts there are, checked and counted, and the folder they go into.

Every visit of ``Schedule`` is a row, so the trainer asks what ``spct train rl`` would at the same step. Failure rule: what is
wrong with recipe, items or labels is said before anything is written; ``handover.json`` comes last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from transformers import AutoConfig

import spct
from spct.data.output import file_hash, write_json
from spct.errors import InputError, RunError, WeightsError
from spct.loading import imported
from spct.train.common.chat import ChatEncoder
from spct.train.common.judging_templates import file_of, keep_templates
from spct.train.common.models import context_of, load_tokenizer, pretrained_source
from spct.train.rl.handover import EXTRA, TRAINERS, Trainer
from spct.train.rl.prompts import Prompt, Schedule, Templates
from spct.train.rl.recipe import RLRecipe
from spct.train.rl.selection import TrainingItems, read_labelled, training_items
from spct.train.stage import Say

MANIFEST = "handover.json"
ROWS = 1024


@dataclass
class Prompts:
    """The prompts of a whole training and of its held-out items.

    ``templates`` are their files within the folder, ``longest`` is the most tokens of a prompt seen so far.
    """

    schedule: Schedule
    visits: int
    heldout: Schedule | None
    templates: tuple[Path, ...]
    encoder: ChatEncoder
    longest: int = field(default=0, init=False)

    def train(self) -> Iterator[Prompt]:
        """Those of every step, in order."""
        return self._of(self.schedule, self.visits)

    def validation(self) -> Iterator[Prompt]:
        """The held-out items, once each."""
        return iter(()) if self.heldout is None else self._of(self.heldout, len(self.heldout))

    @property
    def template_files(self) -> str:
        """The templates' files, as they stand in a reward file."""
        return repr(tuple(map(str, self.templates)))

    def _of(self, schedule: Schedule, visits: int) -> Iterator[Prompt]:
        for visit in range(visits):
            prompt = schedule.prompt(visit)
            self.longest = max(self.longest, len(self.encoder.prompt(prompt.messages)))
            yield prompt


def hand_over(trainer: str, recipe: RLRecipe, out: Path, say: Say = print) -> dict[str, Any]:
    """Write all that ``trainer`` needs for the recipe into ``out``, and give the report, which is the manifest too.

    Raises InputError, TemplateError, TrainingError, WeightsError, RunError and, from the too-easy filter, EngineError.
    """
    if (out / MANIFEST).exists():
        raise InputError(f"{out} holds what was handed over before; name another folder")
    other: Trainer = imported(TRAINERS[trainer])
    other.check(recipe)
    source, options = pretrained_source(recipe.model)
    if options:
        raise InputError(
            f"model {recipe.model}: {trainer} reads no GGUF file; give a hub id or a directory of safetensors"
        )
    templates = Templates(recipe.template, recipe.single_template)
    heldout = recipe.heldout and read_labelled(recipe.heldout.path, templates, recipe.heldout.items)
    encoder = ChatEncoder(load_tokenizer(recipe.model), recipe.model)
    room = context_of(_config(source), recipe.model, recipe.max_tokens) - recipe.max_new_tokens
    items = training_items(recipe, templates, out, say).fitting(encoder, room, recipe, say)
    special = encoder.control_tokens
    used = templates.used([*items.kept, *(heldout or ())])
    if len({template.name for template in used}) < len(used):
        raise InputError(f"two templates are named {used[0].name!r}; give one of their files another name")
    prompts = Prompts(
        Schedule(items.kept, templates, seed=recipe.seed, special_tokens=special),
        recipe.steps * recipe.batch,
        Schedule(heldout, templates, seed=recipe.seed, special_tokens=special) if heldout else None,
        tuple(map(file_of, used)),
        encoder,
    )
    if own := [name for name in other.own if name in recipe.model_fields_set]:
        say(f"not handed over, since {trainer} has its own: {', '.join(own)}")
    for gpus, multiple in other.too_many(recipe).items():
        say(
            f"launch.sh {gpus} will not start: batch {recipe.batch} x group {recipe.group} is {recipe.sequences} rollouts, and "
            f"{gpus} GPUs need a multiple of {multiple}"
        )
    say(f"where {trainer} runs, the reward needs spct too: pip install 'spct[{EXTRA}]'")
    say(f"writing {prompts.visits:,} prompts of {len(items.kept):,} items for {recipe.steps:,} steps")
    out.mkdir(parents=True, exist_ok=True)
    keep_templates(used, out)
    model = str(Path(source).resolve()) if Path(source).is_dir() else source
    files = other.write(recipe, model, prompts, out)
    report = _report(trainer, recipe, items, prompts, templates, files)
    write_json(out / MANIFEST, report)
    return report


def write_rows(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> None:
    """A Parquet file, of which ``ROWS`` rows are held at a time; there whole or not at all. Raises RunError."""
    partial = path.with_name(f".{path.name}.tmp")
    try:
        with parquet.ParquetWriter(partial, schema, compression="zstd") as writer:
            while part := list(islice(rows, ROWS)):
                writer.write_table(pa.Table.from_pylist(part, schema))
        partial.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error


def _config(source: str) -> Any:
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"the model {source}: its configuration cannot be read: {error!s:.200}") from error


def _report(
    trainer: str, recipe: RLRecipe, items: TrainingItems, prompts: Prompts, templates: Templates, files: list[str]
) -> dict[str, Any]:
    return {
        "trainer": trainer,
        "spct": spct.__version__,
        "recipe": recipe.model_dump(mode="json", exclude={"out"}),
        "data": file_hash(recipe.data),
        "templates": templates.digests(),
        "items": items.counts(),
        "prompts": prompts.visits,
        "heldout": 0 if prompts.heldout is None else len(prompts.heldout),
        "longest_prompt": prompts.longest,
        "files": files,
    }
