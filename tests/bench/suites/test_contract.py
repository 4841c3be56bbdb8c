"""What every benchmark keeps to, on a small file in its own format."""

import gzip
import re

import pytest

from bench.samples import ballot, metrics, write_json, write_jsonl
from spct.bench.suites import BENCHMARKS, load_benchmark
from spct.errors import InputError
from spct.run.store import RunStore
from spct.types import Usage

from .test_judgebench import row as judgebench_row
from .test_ppe import question, vote
from .test_realmistake import row as realmistake_row
from .test_rewardbench import row as rewardbench_row
from .test_rewardbench2 import row as rewardbench2_row
from .test_rm_bench import row as rm_bench_row
from .test_rmb import best_of, pair

CLAUDE = "claude-3-5-sonnet-20240620"
LLMBAR = [{"input": f"do {i}", "output_1": "one", "output_2": "two", "label": 1 + i % 2} for i in range(3)]
FILES = {
    "rewardbench": ("filtered.jsonl", [rewardbench_row(i) for i in range(3)]),
    "rewardbench-scalar": ("filtered.jsonl", [rewardbench_row(i) for i in range(3)]),
    "rewardbench2": (
        "test.jsonl",
        [rewardbench2_row(1), rewardbench2_row("ref:1", "Ties"), rewardbench2_row("tied:1", "Ties", 2, 3)],
    ),
    "rmb": ("a.json", [pair("1"), best_of("2"), best_of("3", 4)]),
    "rmb-pairs": ("a.json", [pair("1"), best_of("2"), best_of("3", 4)]),
    "rm-bench": ("code_filtered.json", [rm_bench_row(1), rm_bench_row(2)]),
    "rm-bench-pairs": ("code_filtered.json", [rm_bench_row(1), rm_bench_row(2)]),
    "judgebench": ("a.jsonl", [judgebench_row("1"), judgebench_row("2", "B>A", "livebench-math")]),
    "judgebench-claude": ("a.jsonl", [judgebench_row("1", model=CLAUDE), judgebench_row("2", "B>A", model=CLAUDE)]),
    "ppe-preference": ("a.jsonl", [vote("1", "model_a"), vote("2", "model_b")]),
    "ppe-correctness": ("gpqa.jsonl", [question("1", [[0, 1], [2, 0]])]),
    "realmistake": ("a.jsonl", [realmistake_row("1"), realmistake_row("2", "no_error")]),
    "realmistake-ten": ("a.jsonl", [realmistake_row("1"), realmistake_row("2", "no_error")]),
    "llmbar": ("GPTOut/dataset.json", LLMBAR),
    "llmbar-processed": ("MT-Bench/dataset.json", LLMBAR),
    "items": ("mine.jsonl", [{"prompt": f"do {i}", "responses": ["one", "two", "three"], "best": i} for i in range(3)]),
}


@pytest.fixture(params=BENCHMARKS)
def name(request):
    return request.param


@pytest.fixture
def path(name, tmp_path):
    file, rows = FILES[name]
    return (write_jsonl if file.endswith("l") else write_json)(tmp_path / "data" / file, rows)


def right(item, bench):
    """Scores that give the best response, or every right one, the highest."""
    if len(item.responses) == 1:
        return ballot(2 * bench.threshold * item.rewards_N[0])
    if item.best is not None:
        return ballot(*(9 if i == item.best else 2 for i in range(len(item.responses))))
    return ballot(*(1 + 8 * int(reward) for reward in item.rewards_N))


def test_it_says_what_it_is(name):
    bench = load_benchmark(name)
    assert bench.name == name
    assert all((bench.about.title, bench.about.measures, bench.about.tie_rule, bench.about.source, bench.about.licence))
    assert isinstance(bench.linear, bool)


def test_a_file_and_the_folder_above_it_are_the_same_data(name, path, tmp_path):
    bench = load_benchmark(name)
    assert bench.load(path) == bench.load(tmp_path / "data")


def test_gzip_is_the_same_data(name, path):
    bench = load_benchmark(name)
    plain = bench.load(path)
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert bench.load(path.with_name(path.name + ".gz")).data_hash == plain.data_hash


def test_units_stand_on_items_that_are_there_and_a_part_has_no_score(name, path):
    bench = load_benchmark(name)
    loaded = bench.load(path)
    assert {id for unit in loaded.units for id in unit.items} == set(loaded.items)
    assert len(set(loaded.units)) == len({unit.id for unit in loaded.units}) == len(loaded.units)
    found = metrics(bench, loaded, {id: [right(item, bench)] for id, item in loaded.items.items()})
    assert (found.headline is None) == bool(loaded.missing)
    figures = {key: value for key, value in {**found.parts, **found.partial}.items() if not key.startswith("Ties")}
    assert set(figures.values()) == {1.0}


def test_an_answer_that_is_not_there_is_invalid_and_earns_nothing_beside_the_own_rule(name, path):
    bench = load_benchmark(name)
    loaded = bench.load(path)
    for unit in loaded.units:
        found = bench.grade(unit, loaded, {})
        assert (found.grade, found.strict, found.random) == ("invalid", 0.0, 0.0)


def test_a_stored_run_is_graded_without_the_files(name, path, tmp_path):
    bench = load_benchmark(name)
    loaded = bench.load(path)
    store = RunStore.create(tmp_path / "run", {"settings": "{}"})
    for position, item in enumerate(loaded.items.values()):
        store.add_item(position, item)
        store.record(position, [], Usage())
    store.flush()
    again = bench.assemble((item for _, item in store.items()), loaded.notes)
    store.close()
    assert again == loaded


def test_a_file_cut_off_in_the_middle_is_refused(name, path):
    path.write_bytes(path.read_bytes()[:-25])
    with pytest.raises(InputError, match=re.escape(path.name)):
        load_benchmark(name).load(path)


def test_a_row_that_is_no_object_is_refused(name, path):
    file, rows = FILES[name]
    (write_jsonl if file.endswith("l") else write_json)(path, [*rows, 3])
    with pytest.raises(InputError, match=rf"(line|element) {len(rows) + file.endswith('l')}\b.*expected an object"):
        load_benchmark(name).load(path)


def test_a_wrong_path_is_refused(name, tmp_path):
    bench = load_benchmark(name)
    with pytest.raises(InputError, match="there is no such file"):
        bench.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"without \.json"):
        bench.load(tmp_path)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="expected one of rewardbench"):
        load_benchmark("mmlu")
    with pytest.raises(InputError, match=r"cannot import spct\.nowhere:X"):
        load_benchmark("spct.nowhere:X")
    assert load_benchmark("spct.bench.suites.rmb:RMB") == load_benchmark("rmb")
