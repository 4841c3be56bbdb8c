"""From a trained model to GGUF files that ``llamacpp:`` loads, each checked against the model it was made from.

A file gets its name only after it has passed (``export_check``); one that fails is deleted, and the figures are in the
error. ``export.json`` beside the files has the figures of those that passed. Needs torch, transformers and ``gguf``.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spct.data.output import write_json
from spct.engines import Engine, load_engine
from spct.errors import InputError, TrainingError
from spct.train.common.arguments import quiet
from spct.train.common.classifier import adapter_of
from spct.train.common.directory import file_hash, read_json
from spct.train.common.guarded import disk_errors
from spct.train.common.judging_templates import FOLDER
from spct.train.common.models import Trainable, load_trainable
from spct.train.export.check import PROMPTS, compare, require_pass
from spct.train.export.gguf import ENCODINGS, Encoding, write_gguf, write_lora_gguf
from spct.train.stage import Say
from spct.weights import CATALOGUE

REPORT = "export.json"
CHECK_CONTEXT = 1024


def export_model(
    model: str,
    out: Path,
    encodings: Sequence[Encoding] = ENCODINGS,
    *,
    name: str | None = None,
    check: bool = True,
    prompts: Sequence[str] = PROMPTS,
    threads: int | None = None,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Write ``out/NAME.ENCODING.gguf`` for each encoding and give the report.

    ``model`` is what ``spct train`` takes as a model; ``threads`` are those of both engines of the check. Raises
    TrainingError for a model that cannot be written or a file that does not pass, WeightsError, RunError, InputError.
    """
    if unknown := [one for one in encodings if one not in ENCODINGS]:
        raise InputError(f"encoding {unknown[0]!r}: expected one of {', '.join(ENCODINGS)}")
    quiet()
    trainable = _generative(model)
    name = name or _name_of(model)
    report: dict[str, Any] = {"model": model, "files": {}}
    for encoding in encodings:
        target = out / f"{name}.{encoding}.gguf"
        unchecked = target.with_name(f"unchecked.{target.name}")
        write_gguf(trainable, unchecked, encoding)
        reference = load_engine(f"transformers:{model}", device="cpu", dtype="float32", threads=threads)
        exported = _llamacpp(unchecked, threads)
        checking = _Checking(reference, exported, trainable, prompts) if check else None
        report["files"][target.name] = _settle(unchecked, target, checking, say)
    _keep_templates(Path(model), out / f"{name}.{FOLDER}")
    _write_report(out, report)
    return report


def export_adapter(
    adapter: Path,
    out: Path,
    *,
    base: str,
    name: str | None = None,
    check: bool = True,
    prompts: Sequence[str] = PROMPTS,
    threads: int | None = None,
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
    unchecked = target.with_name(f"unchecked.{target.name}")
    write_lora_gguf(adapter, trainable.model.config, unchecked)
    base_file = out / f"unchecked.base.{target.name}"
    try:
        if check:
            write_gguf(trainable, base_file, "F16")
        reference = load_engine(
            f"transformers:{base}", device="cpu", dtype="float32", threads=threads, lora=(str(adapter),)
        )
        exported = _llamacpp(base_file, threads, lora=(str(unchecked),))
        if check:
            trainable = replace(trainable, model=PeftModel.from_pretrained(trainable.model, str(adapter)))
        checking = _Checking(reference, exported, trainable, prompts) if check else None
        row = _settle(unchecked, target, checking, say)
    finally:
        base_file.unlink(missing_ok=True)
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


@dataclass(frozen=True, slots=True)
class _Checking:
    """What a file is compared with, and by which prompts."""

    reference: Engine
    exported: Engine
    trainable: Trainable
    prompts: Sequence[str]


def _settle(unchecked: Path, target: Path, checking: _Checking | None, say: Say) -> dict[str, Any]:
    """Give the file its name if it passes; else delete it and raise TrainingError."""
    found: dict[str, Any] | None = None
    try:
        if checking is not None:
            checked = asyncio.run(compare(checking.reference, checking.exported, checking.trainable, checking.prompts))
            found = checked.as_row()
            require_pass(checked, target.name)
        unchecked.replace(target)
    finally:
        unchecked.unlink(missing_ok=True)
    say(f"{target}: {_summary(found)}")
    return {"bytes": target.stat().st_size, "hash": file_hash(target), "check": found}


def _llamacpp(file: Path, threads: int | None, **more: Any) -> Engine:
    options = {} if threads is None else {"threads": threads}
    return load_engine(f"llamacpp:{file}", parallel=1, context_tokens=CHECK_CONTEXT, **options, **more)


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
