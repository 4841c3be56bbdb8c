"""The trained model on disk: safetensors, tokenizer, chat and judging templates, model card, all or nothing. Needs torch.

``model/`` is a whole model that every engine of transformers' format loads; with LoRA ``adapter/`` is beside it, and
``model/`` is the base with the adapter merged in.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spct.train.common.card import Card, card_text
from spct.train.common.guarded import disk_errors
from spct.train.common.judging_templates import keep_templates
from spct.train.common.models import Trainable, load_trainable

MODEL, ADAPTER = "model", "adapter"


def save_trained(
    trainer: Any, base: str, out: Path, card: Card, load: Callable[[str], Trainable] = load_trainable
) -> list[Path]:
    """Save what ``trainer`` has trained from the model called ``base``; every process must call this.

    ``load`` loads the base again, to merge an adapter into it. Gives the directories. Raises RunError if the disk refuses;
    what was there before then stays.
    """
    adapter = hasattr(trainer.accelerator.unwrap_model(trainer.model), "peft_config")
    name = ADAPTER if adapter else MODEL
    partial = out / f".{name}.partial"
    with disk_errors(out / name):
        if trainer.args.should_save:
            shutil.rmtree(partial, ignore_errors=True)
        trainer.accelerator.wait_for_everyone()
        trainer.save_model(str(partial))
        trainer.accelerator.wait_for_everyone()
        if trainer.args.should_save:
            (partial / "training_args.bin").unlink(missing_ok=True)  # a pickle: nobody should load it
            _put_card(partial, card, out / name)
            _replace(partial, out / name)
            if adapter:
                _save_merged(load(base), out, card)
        trainer.accelerator.wait_for_everyone()
    return [out / MODEL, out / ADAPTER] if adapter else [out / MODEL]


@contextlib.contextmanager
def save_directory(target: Path) -> Iterator[Path]:
    """A place to save a directory in, which becomes ``target`` if all goes well. Raises RunError if the disk refuses."""
    partial = target.with_name(f".{target.name}.partial")
    with disk_errors(target):
        shutil.rmtree(partial, ignore_errors=True)
        yield partial
        _replace(partial, target)


def _save_merged(loaded: Trainable, out: Path, card: Card) -> None:
    from peft import PeftModel

    model = PeftModel.from_pretrained(loaded.model, str(out / ADAPTER)).merge_and_unload()
    partial = out / f".{MODEL}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    loaded.tokenizer.save_pretrained(partial)
    _put_card(partial, card, out / MODEL)
    _replace(partial, out / MODEL)


def _put_card(where: Path, card: Card, final: Path) -> None:
    text = card_text(card)
    for name in ("transformers:PATH", "--template PATH/"):
        text = text.replace(name, name.replace("PATH", str(final)))
    (where / "README.md").write_text(text)
    keep_templates(card.templates, where)


def _replace(partial: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
