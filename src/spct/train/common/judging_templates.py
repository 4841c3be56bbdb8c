"""The prompts that a model was trained to judge by, kept with it: under ``templates/``, a folder for each.

A folder has the template's file and those that it names, so its digest is that of the original, whatever a later version of
spct ships under that name. Failure rule: a template that is not to be found is left out; the trajectories name it all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from spct.errors import RunError, TemplateError
from spct.templates import TEMPLATES, Template, load_template
from spct.train.common.trajectories import read_trajectories

FOLDER = "templates"


def file_of(template: Template) -> Path:
    """Where the template's file is, seen from the model's directory."""
    return Path(FOLDER, template.name, next(iter(template.texts)))


def keep_templates(templates: Iterable[Template], where: Path) -> None:
    """Copy the files of each template into ``where/templates/NAME``; of two with one name the second has its digest there too.

    Raises RunError.
    """
    kept: dict[str, str] = {}
    for template in templates:
        clash = kept.setdefault(template.name, template.digest) != template.digest
        folder = where / FOLDER / (f"{template.name}-{template.digest[:8]}" if clash else template.name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in template.texts.items():
                (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{folder}: cannot be written: {error.strerror or error}; free some space") from error


def templates_beside(trajectories: Sequence[Path]) -> tuple[Template, ...]:
    """The templates that the rows of files of ``spct train rft-data`` were judged by, most used first.

    They are looked for beside each file, then among the shipped ones.
    """
    counts: dict[tuple[str, str], int] = {}
    folders: dict[tuple[str, str], Path] = {}
    for path in trajectories:
        for _, row in read_trajectories(path):
            key = (str(row.get("template")), str(row.get("template_digest")))
            counts[key] = counts.get(key, 0) + 1
            folders.setdefault(key, path.parent / FOLDER)
    found = (_found(*key, folders[key]) for key in sorted(counts, key=lambda key: -counts[key]))
    return tuple(template for template in found if template is not None)


def _found(name: str, digest: str, folder: Path) -> Template | None:
    beside = [folder / name, folder / f"{name}-{digest[:8]}"]
    files = [str(file) for place in beside for file in sorted(place.glob(f"{name}.*"))]
    for one in [*files, *([name] if name in TEMPLATES else [])]:
        try:
            template = load_template(one)
        except TemplateError:
            continue
        if template.digest == digest:
            return template
    return None
