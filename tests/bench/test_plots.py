import xml.etree.ElementTree as ET

import pytest

from bench.runs import pair, write_run
from spct.bench.audit.audit import audit
from spct.bench.audit.plot import audit_plot
from spct.bench.plots import bench_plots, short
from spct.bench.report import markdown, terminal_lines
from spct.bench.scoring.results import score_run
from spct.bench.scoring.stored import open_stored

SUBSETS = ("Natural", "Manual")


@pytest.fixture
def runs(tmp_path):
    items = [pair(f"{name}/{i}", subset=name) for name in SUBSETS for i in range(6)]
    found = []
    for place, model in enumerate(("scripted:one", "scripted:two")):
        rows = {item.id: [(6, 5), (5, 6), (7, 5), (5, 5)][place:] for item in items}
        found.append(open_stored(write_run(tmp_path / str(place), items, rows, model=model)))
    return found


def words(path):
    return {element.text for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")}


def test_every_plot_is_an_svg_and_a_png_with_labelled_axes(runs, tmp_path):
    files = bench_plots([score_run(run) for run in runs], tmp_path)
    assert sorted(files.values()) == ["compute.png", "curve.png", "parts.png", "scores.png"]
    for file in files.values():
        assert (tmp_path / file).read_bytes().startswith(b"\x89PNG")
    curve = words(tmp_path / "curve.svg")
    assert {"judgments per item, k", "own rule", "strict", "random ties", "scripted:one", "scripted:two"} <= curve
    assert {"1", "2", "4"} <= curve
    assert "tokens per item, prompt and completion (log scale)" in words(tmp_path / "compute.svg")
    assert "score given to a response by a single judgment" in words(tmp_path / "scores.svg")


def test_one_run_shows_its_rules_in_one_panel_and_merges_equal_ones(runs, tmp_path):
    bench_plots([score_run(runs[0])], tmp_path)
    assert "own rule = random ties" in words(tmp_path / "curve.svg")


def test_plots_are_the_same_every_time(runs, tmp_path):
    results = [score_run(runs[0])]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        bench_plots(results, tmp_path / name)
    assert (tmp_path / "a" / "curve.svg").read_bytes() == (tmp_path / "b" / "curve.svg").read_bytes()


def test_an_audit_draws_what_it_found_and_says_what_it_could_not(runs, tmp_path):
    (found,) = audit(runs[:1])
    assert audit_plot(found, tmp_path) == "audit.png"
    shown = words(tmp_path / "audit.svg")
    assert {"Leanings", "accuracy, right one first less last", "not measurable here", "Natural", "Manual"} <= shown


def test_plots_and_tables_of_many_parts_say_how_many_there_are(tmp_path):
    """A hundred subsets of one item: bars for 24, a terminal shows 40 rows, the report all."""
    names = [f"subset {i:03}" for i in range(100)]
    items = [pair(f"{name}/0", subset=name) for name in names]
    run = write_run(tmp_path / "run", items, {item.id: [(6, 5)] for item in items}, benchmark="items")
    result = score_run(open_stored(run))
    bench_plots([result], tmp_path)
    assert "the first 24 of 101 parts; report.md has all" in words(tmp_path / "parts.svg")
    lines = list(terminal_lines([result]))
    assert any(line.startswith("and 61 more parts: results.json has all") for line in lines)
    assert sum(line.startswith("subset ") for line in lines) == 39  # "accuracy" is the first part
    assert sum(line.startswith("| subset ") for line in markdown([result]).splitlines()) == 100
    assert "| subset 007 | 1 | 100.0 [20.7, 100.0] |" in markdown([result])


def test_the_domains_of_an_audit_say_how_many_there_are(tmp_path):
    items = [pair(f"{domain}/{i}", domain=f"domain {domain:02}") for domain in range(30) for i in range(5)]
    run = write_run(tmp_path / "run", items, {item.id: [(6, 5)] for item in items}, benchmark="items")
    (found,) = audit([open_stored(run)])
    audit_plot(found, tmp_path)
    shown = words(tmp_path / "audit.svg")
    assert "the first 24 of 30 domains; audit.json has all" in shown
    assert "domain 23" in shown
    assert "domain 24" not in shown


def test_long_labels_keep_their_end():
    assert short("abc", 5) == "abc"
    assert short("abcdefgh", 5) == "…efgh"
