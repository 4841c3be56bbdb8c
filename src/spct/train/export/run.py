"""From a trained model to GGUF files that ``llamacpp:`` loads, each checked against the model it was made from.

A file gets its name only after it has passed (``export_check``); one that fails is deleted, and the figures are in the
error. ``export.json`` beside the files has the figures of those that passed. Needs torch, transformers and ``gguf``.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spct.data.output import file_hash, read_json, write_json
from spct.engines import load_engine
from spct.errors import InputError, TrainingError
from spct.train.common.arguments import quiet
from spct.train.common.classifier import adapter_of
from spct.train.common.guarded import disk_errors
from spct.train.common.judging_templates import FOLDER
from spct.train.common.models import Trainable, load_trainable
from spct.train.export.check import PROMPTS, Checked, compare_greedily, require_pass
from spct.train.export.gguf import ENCODINGS, Encoding, write_gguf, write_lora_gguf
from spct.train.stage import Say
from spct.weights import CATALOGUE

REPORT = "export.json"
CHECK_CONTEXT = 1024


@dataclass(frozen=True, slots=True)
class Checking:
    """How files are compared with the model they are made from: by which prompts, with how many threads of both engines."""

    prompts: Sequence[str] = PROMPTS
    threads: int | None = None

    def run(self, trainable: Trainable, model: str, file: Path, adapters: tuple[Path, Path] | None = None) -> Checked:
        """``model`` by transformers and ``file`` by llama.cpp; with ``adapters``, each under its own of these two."""
        lora: list[dict[str, Any]] = [{"lora": (str(one),)} for one in adapters] if adapters else [{}, {}]
        threads: dict[str, Any] = {} if self.threads is None else {"threads": self.threads}
        reference = load_engine(f"transformers:{model}", device="cpu", dtype="float32", **threads, **lora[0])
        exported = load_engine(f"llamacpp:{file}", parallel=1, context_tokens=CHECK_CONTEXT, **threads, **lora[1])
        return asyncio.run(compare_greedily(reference, exported, trainable, self.prompts))


def export_model(
    model: str,
    out: Path,
    encodings: Sequence[Encoding] = ENCODINGS,
    *,
    name: str | None = None,
    checking: Checking | None = Checking(),
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Write ``out/NAME.ENCODING.gguf`` for each encoding and give the report; ``model`` is what ``spct train`` takes as a model.

    Raises TrainingError for a model that cannot be written or a file that does not pass, WeightsError, RunError, InputError.
    """
    if unknown := [one for one in encodings if one not in ENCODINGS]:
        raise InputError(f"encoding {unknown[0]!r}: expected one of {', '.join(ENCODINGS)}")
    quiet()
    trainable = _generative(model)
    name = name or _name_of(model)
    report: dict[str, Any] = {"model": model, "files": {}}
    for encoding in encodings:
        target = out / f"{name}.{encoding}.gguf"
        with _unchecked(target) as file:
            write_gguf(trainable, file, encoding)
            checked = None if checking is None else checking.run(trainable, model, file)
            report["files"][target.name] = _settle(file, target, checked, say)
    _keep_templates(Path(model), out / f"{name}.{FOLDER}")
    _write_report(out, report)
    return report


def export_adapter(
    adapter: Path,
    out: Path,
    *,
    base: str,
    name: str | None = None,
    checking: Checking | None = Checking(),
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Write ``out/NAME.lora.gguf`` for the PEFT adapter in ``adapter``, made for the model ``base``, and give the report.

    The check runs it on an F16 file of the base, made for it and deleted. Raises as ``export_model``.
    """
    if not adapter_of(adapter):
        raise InputError(f"{adapter} is no LoRA adapter; export a whole model without base")
    quiet()
    from peft import PeftModel

    trainable = load_trainable(base)
    name = name or _name_of(str(adapter))
    target = out / f"{name}.lora.gguf"
    with _unchecked(target) as file, _unchecked(out / f"base.{target.name}") as base_file:
        write_lora_gguf(adapter, trainable.model.config, file)
        checked = None
        if checking is not None:
            write_gguf(trainable, base_file, "F16")
            adapted = replace(trainable, model=PeftModel.from_pretrained(trainable.model, str(adapter)))
            checked = checking.run(adapted, base, base_file, (adapter, file))
        row = _settle(file, target, checked, say)
    report = {"model": str(adapter), "base": base, "files": {target.name: row}}
    _keep_templates(adapter, out / f"{name}.{FOLDER}")
    _write_report(out, report)
    return report


def _generative(model: str) -> Trainable:
    """The model. Raises TrainingError for a classifier, whose head a generative file has no place for."""
    trainable = load_trainable(model)
    made = [kind for kind in trainable.model.config.architectures or () if "Classification" in kind]
    if made:
        raise TrainingError(
            f"{model} is a {made[0]}, and GGUF files hold generative models; judge with it as classifier:{model}"
        )
    return trainable


@contextlib.contextmanager
def _unchecked(target: Path) -> Iterator[Path]:
    """A place beside ``target`` for a file that is not checked yet; what is still there in the end is deleted."""
    file = target.with_name(f"unchecked.{target.name}")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _settle(file: Path, target: Path, checked: Checked | None, say: Say) -> dict[str, Any]:
    """Give the file its name unless it was checked and did not pass: then raise TrainingError."""
    if checked is not None:
        require_pass(checked, target.name)
    file.replace(target)
    found = None if checked is None else checked.as_row()
    say(f"{target}: {_summary(found)}")
    return {"bytes": target.stat().st_size, "hash": file_hash(target), "check": found}


def _summary(found: dict[str, Any] | None) -> str:
    if found is None:
        return "not checked"
    return (
        f"of {found['prompts']} texts {found['equal']} equal, {found['agreed']:.0%} equal or parting at a near tie (at most "
        f"{found['largest_gap']:.2f} nats), {found['common_prefix']:.0%} of them common"
    )


def _name_of(model: str) -> str:
    """A name for files: the model's own, and of ``out/model`` that of ``out``."""
    if model in CATALOGUE:
        return model
    path = Path(model)
    return (
        path.resolve().parent.name
        if path.name in ("model", "adapter")
        else path.stem
        if path.suffix == ".gguf"
        else path.name
    )


def _keep_templates(model: Path, target: Path) -> None:
    """Put the judging templates that lie in the model's directory beside the files, since a GGUF file has no place for them."""
    if not (model / FOLDER).is_dir():
        return
    with disk_errors(target):
        shutil.copytree(model / FOLDER, target, dirs_exist_ok=True)


def _write_report(out: Path, report: dict[str, Any]) -> None:
    """Beside what an earlier export left in the same place."""
    before = read_json(out / REPORT) or {}
    write_json(out / REPORT, {**report, "files": {**before.get("files", {}), **report["files"]}})
