"""Makes the runs gpt4-cot and gpt4-metrics beside this file from LLMBar's recorded outputs: ``python excerpt.py DATASET``.

DATASET is the folder Dataset of LLMBar's repository with the evaluators' results. The runs hold the items of items.jsonl and
the first twelve of each subset, under the same ids, so that a run over items.jsonl can be compared with them. GPT-4 with
"Metrics" wrote its criteria from the query alone; they are kept with the item.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from spct.bench.importers.llmbar import recorded
from spct.bench.importers.recording import Recorded, write_run
from spct.bench.suites.assembly import data_files
from spct.bench.suites.llmbar import subset_of
from spct.items import read_items, read_rows

HERE = Path(__file__).parent
FIRST = 12


def criteria_of(dataset: Path) -> dict[str, str]:
    """What GPT-4 wrote from each query alone, by the ids of the importer."""
    found = {}
    for file in data_files(dataset, "results"):
        if file.parent.name == "Metrics" and file.name.startswith("result.json"):
            for place, (_, row) in enumerate(read_rows(file)):
                found[f"{subset_of(file)}/{place}"] = row["results"][0][0]
    return found


def chosen(one: Recorded, given: dict[str, tuple[str, ...]], criteria: dict[str, str]) -> Recorded | None:
    """The recording under its id here, None if it is not of the excerpt."""
    subset, _, place = one.item.id.partition("/")
    id = f"{subset.lower()}-{place}"
    if id not in given and int(place) >= FIRST:
        return None
    if id in given and given[id] != one.item.responses:
        raise SystemExit(f"{id}: other responses than in items.jsonl")
    part = subset if subset == "Natural" else f"Adversarial/{subset}"  # as in items.jsonl
    extra = {"subset": part, **({"criteria": criteria[one.item.id]} if criteria else {})}
    return replace(one, item=replace(one.item, id=id, extra=extra))


def main(dataset: Path) -> None:
    given = {item.id: item.responses for item in read_items(HERE / "items.jsonl")}
    for evaluator in ("CoT", "Metrics"):
        recording = recorded(dataset, evaluator=f"GPT-4/{evaluator}")
        criteria = criteria_of(dataset) if evaluator == "Metrics" else {}
        items = [found for one in recording.items if (found := chosen(one, given, criteria)) is not None]
        out = HERE / f"gpt4-{evaluator.lower()}"
        shutil.rmtree(out, ignore_errors=True)
        write_run("jsonl", replace(recording, items=items, benchmark=None), out)
        (out / "lock").unlink()
        with closing(sqlite3.connect(out / "run.sqlite")) as db:
            db.execute("VACUUM")
        print(json.dumps({"run": out.name, "items": len(items), "bytes": (out / "run.sqlite").stat().st_size}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
