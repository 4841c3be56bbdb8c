"""One seed of the laboratory: its files, its bases, its training by ``spct train all``, and what is measured of it besides.

What is done already is not done again, so a killed seed goes on where it was.
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from benchmarks.spct_lab.pretrain import PRETRAINED, pretrain
from benchmarks.spct_lab.recipe import (
    MAIN,
    MAX_NEW,
    META_DATA,
    WIDER,
    Files,
    Sizes,
    adaptive_recipe,
    all_recipe,
    judged,
    meta_recipe,
    wider_recipe,
)
from benchmarks.spct_lab.skills import skills
from benchmarks.spct_lab.world import Case, cases

from spct.data.output import read_json, write_json
from spct.engines.transformers import TransformersEngine
from spct.errors import TrainingError
from spct.items import read_items
from spct.train.common.trajectories import write_rows
from spct.train.rl.judging import Asking, judge_all

HELDOUT_SEED = 10_000
"""Of the development items; the test items have the next two. They are the same for all seeds of training."""
MORE_SEED = 20_000
"""Of the items that the meta RM learns from, plus the seed of training."""
SPCT = [sys.executable, "-c", "from spct.cli import main; main()"]
DECIDED = 0.75
"""The share of the items in which the weights decide."""
ITEMS_WITHOUT_VERDICT = 1
"""The exit code of ``spct train all`` where a model judged some items validly not once: counted, and no error."""
BASE = "base"
LATER = ("rl", "samples", "meta", "bench")
TRAINED = ("sft", "rl")
SKILLS, METAS = "skills.json", "metas.json"
"""What the base can do before RL; and the ids of the further meta RMs by what they learned from."""


def seed_directory(out: Path, seed: int) -> Path:
    """Where everything of a seed is."""
    return out / f"seed-{seed}"


def prepare(sizes: Sizes, out: Path) -> None:
    """What all seeds share, unless it is there: the held-out items."""
    out.mkdir(parents=True, exist_ok=True)
    for path, found in heldout_cases(sizes, out).items():
        if not path.is_file():
            write_rows(path, _rows(found, path.stem))


def run_seed(sizes: Sizes, seed: int, out: Path) -> None:
    """Do all of a seed, or what is left of it. Raises TrainingError where ``spct train all`` ends in an error."""
    directory = seed_directory(out, seed)
    directory.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    train, more = directory / "train.jsonl", directory / "more.jsonl"
    for path, drawn_by, count in ((train, seed, sizes.train), (more, MORE_SEED + seed, sizes.more)):
        if not path.is_file():
            write_rows(path, _rows(islice(cases(drawn_by, heldout=False, decided=DECIDED), count), path.stem))
    dev, test, singles = heldout_cases(sizes, out)
    base = directory / BASE
    if not (base / PRETRAINED).is_file():
        pretrain(replace(sizes.pretraining, seed=seed), base)
    files = Files(base, train, more, dev, test, singles)
    first = {name: value for name, value in all_recipe(sizes, files, seed).items() if name not in LATER}
    _train(first, directory, MAIN)
    with ThreadPoolExecutor() as pool:  # each waits for a process of its own
        recipes = {group: all_recipe(sizes, files, seed, group) for group in sizes.groups}
        for done in [pool.submit(_train, recipe, directory, group) for group, recipe in recipes.items()]:
            done.result()
    job = jobs_of(directory)
    if not (directory / SKILLS).is_file():
        write_json(directory / SKILLS, skills(base, job["rft"]))
    _rate_again(sizes, seed, job, directory)
    if sizes.adaptive:
        _train(adaptive_recipe(sizes, files, seed, trained_models(directory)["rl"]), directory, "adaptive")
    if seed < sizes.wider_seeds:
        for name, size in WIDER.items():
            if not (directory / name / PRETRAINED).is_file():
                pretrain(replace(sizes.pretraining, seed=seed, size=size), directory / name)
            _train(wider_recipe(sizes, files, seed, directory / name), directory, f"bench-{name}")
    _judge_singles(sizes, seed, files, directory)
    _add_session(directory, time.monotonic() - began)


def _train(recipe: dict[str, Any], directory: Path, group: str) -> None:
    """``spct train all``, in a process of its own; the main branch's RFT is copied to others that have one, not done again."""
    path, out = directory / f"{group}.yaml", directory / group
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    if group != MAIN and "rft" in recipe:
        for found in sorted((directory / MAIN).glob("[rs]ft-*")):
            _copy(found, out / found.name)
    _spct(["train", "all", str(path), "--out", str(out)], directory / f"{group}.log")


def _spct(arguments: list[str], log: Path) -> None:
    with log.open("a") as file:
        done = subprocess.run([*SPCT, *arguments], check=False, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode not in (0, ITEMS_WITHOUT_VERDICT):
        raise TrainingError(f"spct {' '.join(arguments[:2])} ended with code {done.returncode}; see {log}")


def _rate_again(sizes: Sizes, seed: int, job: Mapping[str, Path], directory: Path) -> None:
    """Train the further meta RMs, and have each rate the judgments of the model after RL too."""
    known = read_json(directory / METAS) or {}
    run = job["bench-items-rl"]
    for name in [name for name in sizes.metas if name not in known]:
        group = f"meta-{name}"
        _train(meta_recipe(sizes, directory / BASE, seed, [job[one] for one in META_DATA[name]]), directory, group)
        spec = f"classifier:{jobs_of(directory, group)['meta'] / 'model'}"
        _spct(["meta", str(run), "--meta", spec], directory / f"{group}.log")
        write_json(directory / METAS, known := {**known, name: spec})


def _copy(found: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(exist_ok=True)
    if found.is_dir():
        shutil.copytree(found, target)
    else:
        shutil.copy(found, target)


def heldout_cases(sizes: Sizes, out: Path) -> dict[Path, Iterable[Case]]:
    """The files of held-out items, for development, for test, and single ones for test; and what is in them."""
    parts = (("dev", sizes.dev, (1, 2, 3, 4)), ("test", sizes.test, (2, 3, 4)), ("singles", sizes.singles, (1,)))
    return {
        out / f"{name}.jsonl": islice(cases(HELDOUT_SEED + place, heldout=True, sizes=ns, decided=DECIDED), count)
        for place, (name, count, ns) in enumerate(parts)
    }


def _rows(found: Iterable[Case], name: str) -> Iterable[dict[str, Any]]:
    return (case.row(f"{name}-{i}") for i, case in enumerate(found))


def jobs_of(directory: Path, group: str = MAIN) -> dict[str, Path]:
    """Where the finished jobs of a seed's group are, by name, from the report of ``spct train all``."""
    report = read_json(directory / group / "report.json") or {}
    return {
        job["name"]: directory / group / job["directory"] for job in report["branches"][MAIN]["jobs"] if job["done"]
    }


def trained_models(directory: Path) -> dict[str, Path]:
    """The models of a seed's main branch by stage, base first."""
    jobs = jobs_of(directory)
    return {"base": directory / BASE, **{name: jobs[name] / "model" for name in TRAINED if name in jobs}}


def _judge_singles(sizes: Sizes, seed: int, files: Files, directory: Path) -> None:
    """Single responses have no place in a benchmark of the best of several: judged greedily and k times, as runs."""
    items = list(read_items(files.singles))
    for name, model in trained_models(directory).items():
        for vote, k, temperature in (("greedy", 1, 0.0), ("vote", sizes.ablation_k, 0.5)):
            place = directory / "singles" / name / vote
            if (place / "done").is_file():
                continue
            template = judged("judge")
            asking = Asking(template["template"], template["single_template"], k, temperature, MAX_NEW, seed)
            place.parent.mkdir(parents=True, exist_ok=True)
            asyncio.run(judge_all(TransformersEngine(str(model), batch=64, threads=1), items, asking, out=place))
            (place / "done").touch()


def _add_session(directory: Path, wall_s: float) -> None:
    """Keep what this session took: wall time, and processor time of this process and those it started."""
    cpu = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in cpu)
    found = read_json(directory / "sessions.json") or {"sessions": []}
    row = {"wall_s": round(wall_s, 1), "cpu_s": round(cpu_s, 1)}
    write_json(directory / "sessions.json", {"sessions": [*found["sessions"], row]})
