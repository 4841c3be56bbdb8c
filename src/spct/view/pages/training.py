"""Training and benchmarks: a stage's curves, the rollouts of a step, a pipeline's jobs, a report of ``spct bench``."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from spct.errors import InputError, RunError
from spct.view.bench_page import bench_page
from spct.view.library import Kind
from spct.view.pages.page import page, viewer
from spct.view.pipeline_page import pipeline as pipeline_page
from spct.view.rollouts_page import rollouts_of, steps_kept
from spct.view.training_page import training_page


def training(request: Request) -> Response:
    """One stage, finished or at work."""
    name, folder = _folder(request, "training", "training folder")
    return page(request, "training.html", found=training_page(name, folder))


def rollouts(request: Request) -> Response:
    """Some rollouts of the step that ``step`` names."""
    name, folder = _folder(request, "training", "training folder")
    asked, kept = request.query_params.get("step", ""), steps_kept(folder)
    if not asked.isdigit() or len(asked) > 9:
        raise InputError(f"step={asked}: expected the number of a step")
    step = int(asked)
    groups = rollouts_of(folder, step)
    before, after = ([one for one in kept if one < step], [one for one in kept if one > step])
    return page(request, "rollouts.html", stage=name, step=step, groups=groups, before=before[-1:], after=after[:1])


def pipeline(request: Request) -> Response:
    """The jobs of ``spct train all`` and its report."""
    name, folder = _folder(request, "pipeline", "pipeline")
    return page(request, "pipeline.html", found=pipeline_page(name, folder, viewer(request).library))


def bench(request: Request) -> Response:
    """A report of ``spct bench``."""
    name, folder = _folder(request, "bench", "report of spct bench")
    known = viewer(request).library.runs()
    runs = [run for run, path in known.items() if folder in (path, path.parent)]
    return page(request, "bench.html", found=bench_page(name, folder), runs=runs)


def _folder(request: Request, kind: Kind, what: str) -> tuple[str, Path]:
    """The folder that the address names. Raises RunError where there is none."""
    name = request.path_params["name"]
    folder = viewer(request).library.folders(kind).get(name)
    if folder is None:
        raise RunError(f"there is no {what} {name!r} here; it was moved or deleted, or never was")
    return name, folder
