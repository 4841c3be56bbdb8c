"""What keeps a training run safe: it stops at the first number that is none, and a checkpoint is whole or not there.

A mixin before a transformers Trainer (or one of TRL's): ``class Trainer(Guarded, SFTTrainer)``. Checkpoints are directories
``checkpoint-N``, good exactly if the file ``complete.json`` is in it, which is written last; older ones go only after that.
Failure rule: a disk that refuses is a RunError, the unfinished checkpoint is removed and the one before it stays. A loss or a
gradient that is not finite is a TrainingError before the weights are touched.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import torch
from safetensors import SafetensorError
from transformers import TrainerCallback, TrainerControl, TrainerState

from spct.errors import RunError, TrainingError

COMPLETE = "complete.json"
PREFIX = "checkpoint-"

if TYPE_CHECKING:
    from transformers import Trainer as Base
else:
    Base = object


class BestHere(TrainerCallback):
    """Look for the best checkpoint where the output is now: transformers keeps its path, which a directory that was moved, or
    is named from another place, does not have; it would then end with the last one and not say so."""

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.best_global_step:
            state.best_model_checkpoint = str(Path(args.output_dir) / f"{PREFIX}{state.best_global_step}")


class Guarded(Base):
    """The guard. ``args.save_total_limit`` is the number of good checkpoints kept, the best one besides."""

    _keep: int | None = None

    def train(self, *args: Any, **kwargs: Any) -> Any:
        self._keep, self.args.save_total_limit = (
            self.args.save_total_limit,
            None,
        )  # ours to delete, once a new one is good
        self.add_callback(BestHere())
        return super().train(*args, **kwargs)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss).all():
            raise TrainingError(self._lost("loss", float(loss)))
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm: Any = super()._get_grad_norm(model, grad_norm)  # type: ignore[no-untyped-call]
        if norm is not None and not torch.isfinite(torch.as_tensor(norm)).all():
            raise TrainingError(self._lost("gradient's norm", float(norm)))
        return norm

    def _lost(self, what: str, value: float) -> str:
        good = last_checkpoint(Path(str(self.args.output_dir)))
        kept = f"the last good checkpoint is {good}" if good else "there is no checkpoint yet"
        return (
            f"the {what} is {value} in step {self.state.global_step + 1}, before which the weights were left; {kept}. "
            "Lower the learning rate, or look for what is wrong with the data of this step"
        )

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        out = Path(str(self.args.output_dir))
        target = out / f"{PREFIX}{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                _complete(target)
                self._forget_old(out)
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(target, ignore_errors=True)
            raise RunError(_disk(target, error, last_checkpoint(out))) from error

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the card is written with the model (``saving``)."""

    def _forget_old(self, out: Path) -> None:
        best = self.state.best_model_checkpoint
        spare = [path for path in checkpoints(out) if best is None or path.name != Path(best).name]
        for path in spare[: -self._keep] if self._keep else []:
            (path / COMPLETE).unlink()
            shutil.rmtree(path)


def train_on(trainer: Any, out: Path, say: Callable[[str], None], *, evaluate: bool = False) -> None:
    """Train, from the last good checkpoint in ``out`` if there is one; ``evaluate`` once before the first step."""
    if trainer.args.should_save:
        _drop_partial(out)
    trainer.accelerator.wait_for_everyone()
    checkpoint = last_checkpoint(out)
    if checkpoint is not None:
        say(f"going on from {checkpoint.name}")
    trainer.args.eval_on_start = evaluate and checkpoint is None
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def checkpoints(out: Path) -> list[Path]:
    """The good checkpoints in ``out``, by step."""
    found = [path for path in out.glob(f"{PREFIX}*") if (path / COMPLETE).is_file()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(PREFIX)))


def last_checkpoint(out: Path) -> Path | None:
    """The newest good checkpoint in ``out``, or None."""
    return next(reversed(checkpoints(out)), None)


def _drop_partial(out: Path) -> None:
    """Remove checkpoints that a killed process left unfinished."""
    for path in out.glob(f"{PREFIX}*"):
        if not (path / COMPLETE).is_file():
            shutil.rmtree(path, ignore_errors=True)


def _complete(target: Path) -> None:
    sizes = {str(file.relative_to(target)): file.stat().st_size for file in target.rglob("*") if file.is_file()}
    partial = target / f".{COMPLETE}"
    partial.write_bytes(orjson.dumps(sizes, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    partial.replace(target / COMPLETE)


def _disk(target: Path, error: Exception, good: Path | None) -> str:
    words = " ".join(str(error).split())[:300]
    kept = f"the last good one is {good}" if good else "there is none before it"
    return f"{target}: the checkpoint cannot be written: {words}; {kept}. Free some space and go on with --resume"


@contextlib.contextmanager
def disk_errors(place: Path) -> Any:
    """Turn what a full or failing disk raises while something is saved at ``place`` into a RunError."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{place}: cannot be written: {' '.join(str(error).split())[:300]}; free some space") from error
