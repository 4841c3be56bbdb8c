"""ReaLMistake (Kamoi et al., 2024): does a single response to a hard task contain an error?

The score is the area under the ROC curve of the response's score, over all responses; equal scores count half.
Accuracy and F1 (error is the positive class) need a threshold: half-way on the judge's scale. The data comes in a zip
with a password that its authors publish so that crawlers pass it by; it is read in memory and never written.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct.bench.suites.assembly import assembled_items, data_files, lacks, make_item, mean, require
from spct.bench.suites.benchmark import About, Ballots, Graded, Loaded, Metrics, Unit
from spct.bench.suites.grading import means_of
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item

TASKS = ("math_word_problem_generation", "finegrained_fact_verification", "answerability_classification")
RESPONSES = {f"{task}/{model}": n for task in TASKS for model, n in (("gpt-4-0613", 140), ("Llama-2-70b-chat-hf", 160))}
PASSWORD = "open-realmistake"
LABELS = {"error": 0.0, "no_error": 1.0}

ABOUT = About(
    title="ReaLMistake",
    measures="errors in single responses of two models to three hard tasks: ROC-AUC, accuracy, F1",
    tie_rule="equal scores count half in the ROC-AUC; a response without a score loses all its comparisons",
    source="psunlpgroup/ReaLMistake, data.zip",
    licence="CC BY-SA 4.0, not to be published as plain text",
)
EXPECTED = "ReaLMistake's data.zip, or its folders TASK/MODEL.jsonl"


@dataclass(frozen=True)
class ReaLMistake:
    """ReaLMistake for judges that score a response 0 or 1, or on another scale with its middle at ``threshold``."""

    name: str = "realmistake"
    threshold: float = 0.5
    password: str = PASSWORD
    linear: bool = False
    about = ABOUT

    def load(self, path: Path) -> Loaded:
        """Read data.zip at or below ``path``, or the folders it unpacks to."""
        archives = [file for file in (path, path / "data.zip") if file.is_file() and zipfile.is_zipfile(file)]
        if archives:
            return self.assemble(_zipped(archives[0], self.password))
        if path.is_file() and path.suffix == ".zip":
            raise InputError(f"{path}: is not a whole zip file; expected {EXPECTED}: download it again")
        files = data_files(path, EXPECTED)
        return self.assemble(_item(row, where) for f in files if f.stem != "example" for where, row in read_rows(f))

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        return assembled_items(items, self.name, RESPONSES, notes)

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        means = means_of(ballots.get(unit.id, ()))
        if means is None:
            return Graded("invalid", 0.0, 0.0, 0.0)
        (score,), sound = means, _sound(loaded.items[unit.id])
        if score == self.threshold:
            return Graded("tied", 0.5, 0.0, 0.5, score)
        right = float((score > self.threshold) == sound)
        return Graded("correct" if right else "wrong", right, right, right, score)

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        parts: dict[str, float] = {}
        partial: dict[str, float] = {}
        groups = {"": RESPONSES} | {task: [s for s in RESPONSES if s.startswith(task)] for task in TASKS}
        groups |= {subset: [subset] for subset in RESPONSES}
        for name, subsets in groups.items():
            units = [unit for unit in credits if unit.subset in subsets]
            whole = not any(lacks(loaded, subset) for subset in subsets)
            figures = self._figures(units, credits, graded, loaded)
            prefix = f"{name}/" if name else ""
            (parts if whole else partial).update({f"{prefix}{key}": value for key, value in figures.items()})
        return Metrics(parts.get("ROC-AUC"), parts, partial)

    def _figures(
        self, units: Sequence[Unit], credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded
    ) -> dict[str, float]:
        if not units:
            return {}
        scored = [(graded[unit].value, _sound(loaded.items[unit.items[0]])) for unit in units]
        figures = {"accuracy": mean(credits[unit] for unit in units), "F1": f1_of_errors(scored, self.threshold)}
        if (area := roc_auc(scored)) is not None:
            figures["ROC-AUC"] = area
        return figures


def ReaLMistakeTen() -> ReaLMistake:  # noqa: N802
    """For judges that score a response from 1 to 10."""
    return ReaLMistake(name="realmistake-ten", threshold=5.5)


def roc_auc(scored: Sequence[tuple[float | None, bool]]) -> float | None:
    """Chance that a sound response scores above a faulty one, equal scores counting half; None without both kinds.

    ``scored`` is (score, whether the response is sound). A response without a score loses every comparison.
    """
    sound = [score for score, is_sound in scored if is_sound]
    faulty = [score for score, is_sound in scored if not is_sound]
    if not sound or not faulty:
        return None
    below = sorted(score for score in faulty if score is not None)
    won = 0.0
    for score in sound:
        if score is not None:
            won += (bisect_left(below, score) + bisect_right(below, score)) / 2
    return won / (len(sound) * len(faulty))


def f1_of_errors(scored: Sequence[tuple[float | None, bool]], threshold: float) -> float:
    """F1 with error as the positive class; a score at the threshold is half a prediction, none is a wrong one."""
    found = missed = false_alarms = 0.0
    for score, is_sound in scored:
        flagged = float(is_sound) if score is None else 0.5 if score == threshold else float(score < threshold)
        found += flagged * (not is_sound)
        missed += (1 - flagged) * (not is_sound)
        false_alarms += flagged * is_sound
    denominator = 2 * found + missed + false_alarms
    return 2 * found / denominator if denominator else 0.0


def _sound(item: Item) -> bool:
    return item.rewards_N == (1.0,)


def _zipped(archive: Path, password: str) -> Iterator[Item]:
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.setpassword(password.encode())
            for name in opened.namelist():
                if name.endswith(".jsonl") and not name.endswith("example.jsonl"):
                    stream = io.BytesIO(opened.read(name))
                    stream.name = f"{archive}:{name}"
                    yield from (_item(row, where) for where, row in read_rows(stream))
    except RuntimeError as error:
        raise InputError(f"{archive}: does not open with the password {password!r}; see its authors' README") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise InputError(
            f"{archive}: damaged, or not for the password {password!r} ({error}); download it again"
        ) from error


def _item(row: Mapping[str, Any], where: str) -> Item:
    require(row, where, "input", "llm_response", "error_label", "metadata")
    if row["error_label"] not in LABELS:
        raise InputError(f"{where}: got the error_label {row['error_label']!r}; expected error or no_error")
    meta = row["metadata"]
    if not isinstance(meta, Mapping):
        raise InputError(f"{where}: got metadata {str(meta)[:40]!r}; expected an object")
    require(meta, f"{where}: metadata", "id", "task_name", "llm_response_model")
    task = next((task for task in TASKS if str(meta["task_name"]) in (task, TASK_ALIASES.get(task))), None)
    writer = str(meta["llm_response_model"])
    subset = f"{task}/{writer.rpartition('/')[2]}"
    if subset not in RESPONSES:
        raise InputError(
            f"{where}: got task {meta['task_name']!r} by {writer!r}; expected one of {', '.join(RESPONSES)}"
        )
    return make_item(
        where,
        id=str(meta["id"]),
        query=row["input"],
        responses=[row["llm_response"]],
        rewards=[LABELS[row["error_label"]]],
        subset=subset,
        domain=task,
        writers=[writer],
        error_categories=row.get("error_categories"),
        difficulty=meta.get("difficulty"),
    )


TASK_ALIASES = {"math_word_problem_generation": "math_problem_generation"}
"""What the metadata call a task, where it is not its folder's name."""
