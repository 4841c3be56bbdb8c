"""Whole builds on small files: what is written, what is left out and counted, what is refused."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from spct.data.build import build
from spct.data.conversation import conversation_hash
from spct.data.manifest import is_current, read_manifest
from spct.data.recipe import DataRecipe
from spct.errors import InputError, RunError
from spct.items import read_items
from spct.recipe import parse_recipe

from . import rows
from .rows import lines, pairs, write_jsonl


def recipe_of(*sources, **more):
    return parse_recipe(DataRecipe, {"sources": [{"kind": "items"} | source for source in sources], **more})


def built(tmp_path, *sources, **more):
    """The report row and all items written."""
    out = tmp_path / "out"
    report = build(recipe_of(*sources, **more), out).as_row()
    return report, [row for name in report["splits"] for row in lines(out / f"{name}.jsonl")]


def test_one_item_of_each_form(tmp_path):
    path = write_jsonl(tmp_path / "gsm8k.jsonl.gz", [rows.GSM8K_HUB | {"solutions": ["#### 18", "#### 1", "#### 2"]}])
    report, items = built(tmp_path, {"kind": "gsm8k", "path": str(path)}, split={"train": 1.0})
    assert report["splits"]["train"]["forms"] == {"single": 3, "pair": 2, "multi": 1}
    by_id = {item["id"]: item for item in items}
    assert set(by_id) == {f"gsm8k/0/{n}" for n in ("single-0", "single-1", "single-2", "pair-0-1", "pair-0-2", "multi")}
    assert by_id["gsm8k/0/single-1"] == {
        "id": "gsm8k/0/single-1",
        "messages": [{"role": "user", "content": rows.GSM8K_HUB["question"]}],
        "responses": ["#### 1"],
        "rewards": [0.0],
        "source": "gsm8k",
        "split": "train",
        "form": "single",
        "domain": "math",
        "conversation": f"{conversation_hash((), rows.GSM8K_HUB['question']):016x}",
        "origin": "gsm8k.jsonl.gz, line 1",
    }
    for item in items:
        if item["form"] != "single":
            assert item["responses"][item["best"]] == "#### 18"
            assert item["rewards"] == [float(i == item["best"]) for i in range(len(item["responses"]))]


def test_the_reference_stays_out_unless_asked_for(tmp_path):
    path = str(write_jsonl(tmp_path / "a.jsonl", [rows.GSM8K_HUB]))
    _, items = built(tmp_path, {"kind": "gsm8k", "path": path}, split={"train": 1.0})
    assert all("reference" not in item for item in items)
    _, items = built(tmp_path, {"kind": "gsm8k", "path": path, "reference": True}, split={"train": 1.0})
    assert all(item["reference"] == rows.GSM8K_HUB["answer"] for item in items)


def test_strength_travels_with_the_pair(tmp_path):
    path = str(write_jsonl(tmp_path / "preference" / "preference.jsonl", [rows.HELPSTEER2]))
    _, (item,) = built(tmp_path, {"kind": "helpsteer2", "path": path}, split={"train": 1.0})
    assert item["strength"] == 2
    assert item["responses"][item["best"]] == "11"


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_another_order(tmp_path):
    path = str(write_jsonl(tmp_path / "a.jsonl", pairs(200)))
    recipe = recipe_of({"path": path}, size=100)
    names = ("train.jsonl", "heldout.jsonl", "report.json", "report.md", "manifest.json")
    build(recipe, tmp_path / "one")
    build(recipe, tmp_path / "two")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(names)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    build(recipe_of({"path": path}, size=100, seed=1), tmp_path / "three")
    assert {i["id"] for i in lines(tmp_path / "one" / "train.jsonl")} != {
        i["id"] for i in lines(tmp_path / "three" / "train.jsonl")
    }


def test_no_conversation_is_in_two_splits_and_shares_come_out(tmp_path):
    turns = [
        {"role": "user", "content": "Q?"},
        {"role": "assistant", "content": "A."},
        {"role": "user", "content": "R?"},
    ]
    rows_of = [
        {"prompt": [turns[0] | {"content": f"Tell me of {i // 4}."}, *turns[1 : 1 + 2 * (i % 2)]],
         "chosen": f"yes {i}", "rejected": f"no {i}"}
        for i in range(2000)
    ]  # fmt: skip
    path = str(write_jsonl(tmp_path / "a.jsonl", rows_of))
    report, items = built(tmp_path, {"path": path}, split={"train": 0.8, "heldout": 0.1, "test": 0.1})
    splits = {}
    for item in items:
        splits.setdefault(item["conversation"], set()).add(item["split"])
    assert len(splits) == 500
    assert all(len(found) == 1 for found in splits.values())
    assert report["largest_conversation"] == 4
    counts = {name: split["conversations"] for name, split in report["splits"].items()}
    assert counts == {"train": 390, "heldout": 54, "test": 56}


def test_the_better_response_stands_in_no_fixed_place(tmp_path):
    path = str(write_jsonl(tmp_path / "a.jsonl", pairs(1000)))
    report, _ = built(tmp_path, {"path": path}, split={"train": 1.0})
    assert report["splits"]["train"]["best_place_of_pairs"] == {"0": 473, "1": 527}


def test_judge_can_read_the_files(tmp_path):
    path = str(write_jsonl(tmp_path / "a.jsonl", [*pairs(20), {"prompt": "Hi", "responses": ["Hello"], "label": 1}]))
    report, items = built(tmp_path, {"path": path})
    read = [item for name in report["splits"] for item in read_items(tmp_path / "out" / f"{name}.jsonl")]
    assert [item.id for item in read] == [item["id"] for item in items]
    assert Counter(len(item.responses) for item in read) == {2: 20, 1: 1}


def test_duplicates_and_contradictions_across_sources(tmp_path):
    first = write_jsonl(tmp_path / "a.jsonl", pairs(4))
    again, other, swapped, new = pairs(4)[0], pairs(4)[1], pairs(4)[2], pairs(1, start=9)[0]
    other = {"prompt": other["prompt"], "chosen": other["rejected"], "rejected": other["chosen"]}
    swapped = {"prompt": swapped["prompt"], "responses": [swapped["rejected"], swapped["chosen"]], "best": 1}
    second = write_jsonl(tmp_path / "b.jsonl", [again, other, swapped, new])
    report, items = built(tmp_path, {"name": "a", "path": str(first)}, {"name": "b", "path": str(second)},
                          split={"train": 1.0})  # fmt: skip
    assert sorted(item["id"] for item in items) == ["a/0/pair-0-1", "a/2/pair-0-1", "a/3/pair-0-1", "b/3/pair-0-1"]
    assert report["sources"]["a"]["dropped"] == {"contradicted by another row": 1}
    assert report["sources"]["b"]["dropped"] == {"contradicted by another row": 1, "duplicate": 2}


def test_what_a_benchmark_asks_is_removed_and_counted(tmp_path):
    asked = "Which of these two rivers is the longer one, the Nile or the Amazon, and why do people disagree about it?"
    bench = [{"input": "Which number follows 3?", "output_1": "4", "output_2": "5", "label": 1},
             {"input": asked, "output_1": "Nile", "output_2": "Amazon", "label": 1}]  # fmt: skip
    folder = tmp_path / "LLMBar" / "Natural"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(bench))
    near = {"prompt": asked.replace("it?", "that?"), "chosen": "a", "rejected": "b"}
    path = str(write_jsonl(tmp_path / "a.jsonl", [*pairs(10), near]))
    report, items = built(
        tmp_path,
        {"path": path},
        split={"train": 1.0},
        contamination={"benchmarks": [{"name": "llmbar", "path": str(tmp_path / "LLMBar")}]},
    )
    assert report["benchmarks"] == {"llmbar": 2}
    assert report["sources"]["items"]["overlap"] == {"llmbar": {"exact": 1, "near": 1}}
    assert report["sources"]["items"]["overlapping_rows"] == 2
    assert {item["id"] for item in items} == {f"items/{i}/pair-0-1" for i in range(10) if i != 3}


def test_labels_that_cannot_be_used_are_counted_by_reason(tmp_path):
    found = [
        rows.HELPSTEER2,
        rows.HELPSTEER2 | {"prompt": "b", "preference_strength": 0},
        rows.HELPSTEER2 | {"prompt": "c", "response_1": " "},
        rows.HELPSTEER2 | {"prompt": "d", "response_1": "11"},
        rows.HELPSTEER2 | {"prompt": "e", "preference_strength": 5},
        rows.HELPSTEER2 | {"prompt": ""},
        rows.HELPSTEER2 | {"prompt": "f" * 99},
        rows.HELPSTEER2 | {"prompt": "g", "split": "validation"},
    ]
    path = str(write_jsonl(tmp_path / "preference" / "preference.jsonl", found))
    source = {"kind": "helpsteer2", "path": path, "on_bad": "drop", "only": {"split": "train"}}
    report, items = built(tmp_path, source, split={"train": 1.0}, max_chars=90)
    assert report["sources"]["helpsteer2"]["dropped"] == {
        "broken row": 1,
        "empty response": 1,
        "equal responses, different labels": 1,
        "label out of range": 1,
        "longer than max_chars": 1,
        "tie in the ground truth": 1,
    }
    assert (report["sources"]["helpsteer2"]["rows"], len(items)) == (7, 1)


def test_forms_and_counts_are_met_exactly(tmp_path):
    maths = [rows.GSM8K_HUB | {"question": f"{i} eggs and {18 - i} eggs?"} for i in range(10)]
    a = str(write_jsonl(tmp_path / "a.jsonl", maths))
    b = str(write_jsonl(tmp_path / "b.jsonl", pairs(40)))
    report, _ = built(tmp_path, {"kind": "gsm8k", "path": a}, {"path": b, "count": 20}, size=40,
                      forms={"single": 0.25, "pair": 0.75}, split={"train": 1.0})  # fmt: skip
    assert report["splits"]["train"]["sources"] == {
        "gsm8k": {"single": 10, "pair": 10, "multi": 0},
        "items": {"single": 0, "pair": 20, "multi": 0},
    }


def test_the_manifest_tells_whether_anything_changed(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", pairs(20))
    recipe, out = recipe_of({"path": str(path)}, split={"train": 1.0}), tmp_path / "out"
    assert not is_current(recipe, out)
    build(recipe, out)
    assert is_current(recipe, out)
    assert read_manifest(out)["outputs"]["train.jsonl"]["rows"] == 20
    assert not is_current(recipe_of({"path": str(path)}, split={"train": 1.0}, seed=1), out)
    (out / "train.jsonl").open("a").write("\n")
    assert not is_current(recipe, out)
    build(recipe, out)
    write_jsonl(path, pairs(21))
    assert not is_current(recipe, out)


def test_a_build_that_fails_leaves_no_manifest_and_no_temporary_files(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", pairs(20))
    out = tmp_path / "out"
    build(recipe_of({"path": str(path)}), out)
    with pytest.raises(InputError):
        build(recipe_of({"path": str(path)}, size=99), out)
    assert sorted(file.name for file in out.iterdir()) == ["heldout.jsonl", "report.json", "report.md", "train.jsonl"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": ', r"a\.jsonl, line 2: got invalid JSON"),
        ('\n{"prompt": "a"}\n', r"a\.jsonl, line 2: got a row with prompt.* \(source 'items'; on_bad: drop leaves"),
        ('{"prompt": "a", "responses": ["b"], "label": 7}', r"a\.jsonl, line 1: label: got int 7; expected 0 or 1"),
        (
            '{"prompt": "a", "responses": ["b", "c"], "best": 2}',
            "expected the index of a response, an integer from 0 to 1",
        ),
        ('{"prompt": "a", "responses": ["b", "c"]}', "the sources have no usable item"),
        ("", "got an empty file"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, text, message):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        built(tmp_path, {"path": str(path)}, split={"train": 1.0})


def test_wrong_paths_and_names(tmp_path):
    path = str(write_jsonl(tmp_path / "a.jsonl", pairs(5)))
    with pytest.raises(InputError, match="there is no such file or directory; expected your own items: rows as in"):
        built(tmp_path, {"path": str(tmp_path / "none")})
    with pytest.raises(InputError, match=r"none of the 1 files below .* matches \*\.parquet"):
        built(tmp_path, {"path": str(tmp_path), "files": ["*.parquet"]})
    with pytest.raises(InputError, match="contamination: rmb: there is no such file or directory"):
        built(tmp_path, {"path": path}, contamination={"benchmarks": [{"name": "rmb", "path": "nowhere"}]})
    with pytest.raises(InputError, match="benchmark 'rnb': expected one of"):
        built(tmp_path, {"path": path}, contamination={"benchmarks": [{"name": "rnb", "path": path}]})
    with pytest.raises(InputError, match="split 'heldout': got none of 5 items"):
        built(tmp_path, {"path": path}, split={"train": 1 - 1e-9, "heldout": 1e-9})
    with pytest.raises(RunError, match="cannot be written: "):
        build(recipe_of({"path": path}), tmp_path / "a.jsonl" / "out")


def test_problems_without_attempts_are_refused(tmp_path):
    path = str(write_jsonl(tmp_path / "a.jsonl", [{"question": "1 + 1?", "answer": "#### 2"}]))
    with pytest.raises(InputError, match="got problems without attempts; expected a key solutions"):
        built(tmp_path, {"kind": "gsm8k", "path": path})


def test_a_missing_package_is_no_broken_row(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [rows.MATH])
    recipe = {"sources": [{"kind": "math", "path": str(path), "on_bad": "drop"}], "out": str(tmp_path / "out")}
    (tmp_path / "data.yaml").write_text(json.dumps(recipe))
    without = "import sys; sys.modules['math_verify'] = None; from spct.cli import main; main()"
    command = [sys.executable, "-c", without, "data", "build", str(tmp_path / "data.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("checking answers needs math-verify: pip install 'spct[train]'\n")


def test_parquet_is_read_like_jsonl(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "data").mkdir()
    parquet.write_table(arrow.Table.from_pylist([rows.SKYWORK]), tmp_path / "data" / "train-00000-of-00001.parquet")
    _, (item,) = built(tmp_path, {"kind": "skywork", "path": str(tmp_path / "data")}, split={"train": 1.0})
    assert (item["domain"], item["origin"]) == ("magpie_pro", "train-00000-of-00001.parquet, row 0 (counting from 0)")
