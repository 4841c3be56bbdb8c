"""The prompt under which a meta RM reads a judgment, which follows as the assistant's turn.

Without one of its own it reads the judge's very prompt. The released DeepSeek-GRM meta RM has its own, which is shorter:
the template ``meta-rm``. Weights rate rightly only what looks like what they were trained on, so a model that was trained
with a prompt of its own keeps it in its folder (``FILE``), and it is used when it rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from spct.errors import RunError, TemplateError, WeightsError
from spct.meta.meta import Case
from spct.templates import Template, load_template, template_of_texts
from spct.types import Message

FILE = "meta_prompt.json"


def load_prompt(name_or_path: str | None) -> Template | None:
    """The template of a meta RM's own prompt; None for None. Raises TemplateError for one that cannot be."""
    if name_or_path is None:
        return None
    template = load_template(str(name_or_path))
    if template.kind != "text" or template.needs or not template.shows_responses:
        raise TemplateError(
            f"template {name_or_path}: a meta RM's prompt has `reader: text`, shows the responses and needs nothing, as "
            "meta-rm; the judge's own prompt is read where no template is named"
        )
    return template


def prompt_row(template: Template) -> dict[str, Any]:
    """The template, whole, as it is kept with a model and with its ratings."""
    return {"name": template.name, "digest": template.digest, "texts": dict(template.texts)}


def keep_prompt(template: Template, folder: Path) -> None:
    """Keep the template, whole, with the model in ``folder``. Raises RunError."""
    try:
        (folder / FILE).write_bytes(orjson.dumps(prompt_row(template)))
    except OSError as error:
        raise RunError(f"{folder / FILE}: cannot be written: {error.strerror or error}; free some space") from error


def kept_prompt(file: Path) -> Template:
    """The template that ``keep_prompt`` kept in this file. Raises WeightsError, TemplateError."""
    try:
        row = orjson.loads(file.read_bytes())
        return template_of_texts(row["name"], row["texts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{file}: cannot be read as the prompt of a meta RM: {error}") from error


def turns_of(case: Case, prompt: Template | None, special_tokens: Sequence[str]) -> tuple[Message, ...]:
    """What is rated: the prompt, the judge's own where ``prompt`` is None, and the judgment as the assistant's turn."""
    if prompt is None:
        return (*case.prompt, Message("assistant", case.answer))
    asked = prompt.render(case.item, case.judgment.order, special_tokens=special_tokens)
    return (*asked, Message("assistant", case.answer))


def named(model_id: str, prompt: Template | None) -> str:
    """A model's id, with the prompt that it was told to read: another prompt gives other ratings."""
    return model_id if prompt is None else f"{model_id} template {prompt.name} {prompt.digest[:8]}"
