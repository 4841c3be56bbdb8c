"""docs/truth.md: its commands give the lines that it shows, and numpy and plain loops give the figures in them."""

import json
import os
import re
import shlex
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from measures import naive
from spct.measures.labels import cross_fitted

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```console\n(.*?)^```", (ROOT / "docs" / "truth.md").read_text(), re.MULTILINE | re.DOTALL)
JUDGE = ["--model", "scripted:examples/truth/judge.py:judge", "-k", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth")
    (path / "examples").symlink_to(ROOT / "examples")
    return path


def spct(folder, *arguments):
    command = [sys.executable, "-c", "from spct.cli import main; main()", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.findall(r"truth/(\w+)", block)[0])
def test_the_commands_give_what_the_page_shows(folder, block):
    commands = re.findall(r"^\$ spct (.*)$", block, re.MULTILINE)
    outputs = [spct(folder, *shlex.split(command)).stdout for command in commands]
    shown = re.sub(r"^(\$ .*|\.\.\.)\n", "", block, flags=re.MULTILINE)
    assert shown in outputs[-1]


@pytest.fixture(scope="module")
def judged(folder):
    """Rows and the means of their votes by the name of an example, and the summary as name -> value."""
    seen = {}

    def of(name):
        if name not in seen:
            done = spct(folder, "judge", f"examples/truth/{name}.jsonl", *JUDGE, "--json")
            rows = [json.loads(line) for line in (ROOT / "examples" / "truth" / f"{name}.jsonl").open()]
            means = [json.loads(line)["means"] for line in done.stdout.splitlines()]
            figures = dict(re.findall(r"^ {12}(\S.*?) (-?\d[\d.]*%?)(?= |$)", done.stderr, re.MULTILINE))
            seen[name] = rows, means, figures, done.stderr
        return seen[name]

    return of


def close(shown, value):
    """Whether a printed figure, in percent or not, is ``value`` to its last digit."""
    return shown == (f"{value:.1%}" if shown.endswith("%") else f"{value:.3f}")


def test_one_best(judged):
    rows, means, figures, text = judged("best")
    assert len(rows) == 20
    votes = [(m, row["best"]) for row, m in zip(rows, means, strict=True)]
    alone = [m[best] == max(m) and m.count(max(m)) == 1 for m, best in votes]
    assert f"{np.mean(alone):.1%} correct (strict" in text
    ranks = [  # every way to break ties in turn
        np.mean(
            [1 / (1 + sorted(range(3), key=lambda i: (-m[i], ties[i])).index(best)) for ties in permutations(range(3))]
        )
        for m, best in votes
    ]
    assert close(figures["mean reciprocal rank"], np.mean(ranks))


@pytest.mark.parametrize("name", ["rewards", "graded"])
def test_rewards(judged, name):
    rows, means, figures, text = judged(name)
    groups = [(m, row["rewards"]) for row, m in zip(rows, means, strict=True)]
    chosen = [naive.chosen(*group) for group in groups]
    top = [max(values) for _, values in groups]
    assert close(figures["mean reward of the one chosen"], np.mean(chosen))
    assert close(figures["mean reward of the best there"], np.mean(top))
    assert close(figures["mean reward of one at random"], np.mean([np.mean(values) for _, values in groups]))
    assert close(figures["regret against the best there"], np.mean(np.subtract(top, chosen)))
    assert close(figures["Kendall's tau-b"], naive.within(naive.tau_b, groups))
    assert close(figures["Spearman's rho"], naive.within(naive.spearman, groups))
    assert close(figures["NDCG"], np.mean([naive.ndcg(*group) for group in groups if max(group[1]) > 0]))
    for size in (1, 2, 4):
        worth = np.mean([naive.best_of(*group, size) for group in groups if len(group[1]) >= size])
        assert f"S = {size} {worth:.3f}" in text


def test_ranking(judged):
    rows, means, figures, _ = judged("ranking")
    groups = []
    for row, m in zip(rows, means, strict=True):
        place = {
            i: p for p, level in enumerate(row["ranking"]) for i in (level if isinstance(level, list) else [level])
        }
        groups.append((m, [-place[i] for i in range(len(m))]))
    assert close(figures["Kendall's tau-b"], naive.within(naive.tau_b, groups))
    assert close(figures["Spearman's rho"], naive.within(naive.spearman, groups))


SAID = {0: 1.0, 1: 0.0, "tie": 0.5}


def choices(means):
    return [float(np.sign(a - b) / 2 + 0.5) for a, b in means]


def test_pairs(judged, folder):
    rows, means, figures, _ = judged("pairs")
    judge, people = choices(means), [SAID[row["label"]] for row in rows]
    assert close(figures["three-way agreement"], np.mean(np.equal(judge, people)))
    assert close(figures["Cohen's kappa"], naive.kappa(judge, people))
    assert close(figures["win rate of the first response by the judge"], np.mean(judge))
    assert close(figures["by people"], np.mean(people))
    spct(folder, "judge", "examples/truth/pairs.jsonl", *JUDGE, "--out", "runs/pairs")
    both = []
    for row, said in zip(rows, people, strict=True):
        judgments = json.loads(spct(folder, "show", "runs/pairs", row["id"], "--json").stdout)["judgments"]
        by_order = [np.mean([j["scores"] for j in judgments if j["order"] == o], axis=0) for o in ([0, 1], [1, 0])]
        both.append(choices(by_order) == [said, said])
    assert close(figures["both orders right"], np.mean(both))


def test_labels(judged):
    rows, means, figures, text = judged("labels")
    labels, scores = [row["label"] for row in rows], [m[0] for m in means]
    assert close(figures["ROC-AUC"], naive.auc(scores, labels))
    given, _ = cross_fitted([(row["id"], score, row["label"]) for row, score in zip(rows, scores, strict=True)])
    assert close(figures["accuracy at a threshold"], np.mean(np.equal(given, labels)))
    assert close(figures["F1 there"], naive.f1(given, labels))
    assert abs(float(figures["kappa there"]) - naive.kappa(given, labels)) < 0.0005
    assert "correct" not in text


def test_grades(judged):
    rows, means, figures, _ = judged("grades")
    grades, scores = [row["grade"] for row in rows], [m[0] for m in means]
    assert close(figures["Pearson's r"], naive.pearson(scores, grades))
    assert close(figures["Spearman's rho"], naive.spearman(scores, grades))
    rounded = [int(score + 0.5) for score in scores]
    assert close(figures["quadratic kappa"], naive.kappa(rounded, grades, lambda a, b: (a - b) ** 2))
    assert close(figures["mean absolute error"], np.mean(np.abs(np.subtract(scores, grades))))


def test_people(judged):
    rows, means, figures, text = judged("people")
    answers, judge = [[SAID[label] for label in row["labels"]] for row in rows], choices(means)
    assert close(figures["Krippendorff's alpha of the people"], naive.alpha(answers, lambda a, b: float(a != b)))
    together = [np.mean([a == b for i, a in enumerate(said) for j, b in enumerate(said) if i != j]) for said in answers]
    assert close(figures["two people of an item agree"], np.mean(together))
    with_judge = [np.mean([a == choice for a in said]) for said, choice in zip(answers, judge, strict=True)]
    assert close(figures["judge and a person agree"], np.mean(with_judge))
    most = [max(set(said), key=said.count) for said in answers]
    clear = [i for i, said in enumerate(answers) if [said.count(a) for a in set(said)].count(said.count(most[i])) == 1]
    assert f"{len(clear)} items with a pair's label" in text
    assert close(figures["three-way agreement"], np.mean([judge[i] == most[i] for i in clear]))


def test_items_without_a_truth_are_said_before_the_first_sample(folder):
    """T3: nothing known at all, and lone labelled responses."""
    blind = ["bench", "items", "--data", "examples/truth/none.jsonl", *JUDGE, "--no-plots"]
    done = spct(folder, *blind, "--out", "runs/blind")
    before = done.stderr[: done.stderr.index("done:")]
    assert "not graded: 20 items: nothing says which response is right" in before
    assert "no item can be graded: there will be no accuracy, only the agreement between runs" in before
    assert "20 items, 0 units" in done.stdout
    results = json.loads((folder / "runs" / "blind" / "results.json").read_text())
    assert results["runs"][0]["truth"]["ungraded"] == {"nothing says which response is right": 20}
    assert (results["runs"][0]["points"], results["runs"][0]["truth"]["kinds"]) == ([], [])
    both = spct(
        folder, "bench", "items", "--run", "runs/blind", "--run", "runs/blind", "--no-plots", "--out", "runs/both"
    )
    assert "the same choice 100.0% (0 flips)" in both.stdout
    lone = ["bench", "items", "--data", "examples/truth/labels.jsonl", *JUDGE, "--no-plots", "--limit", "12"]
    done = spct(folder, *lone, "--out", "runs/lone")
    assert "every graded item has one response" in done.stderr[: done.stderr.index("done:")]
    assert "12 items with a label, 0 or 1, of one response" in done.stdout
    assert "ROC-AUC" in (folder / "runs" / "lone" / "report.md").read_text()


WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['numpy', 'scipy', 'sklearn', 'krippendorff'])); "


@pytest.mark.parametrize("name", ["rewards", "pairs", "labels", "grades", "people", "ranking"])
def test_without_the_extra_the_summary_says_what_needs_it(folder, judged, name):
    code = WITHOUT + "from spct.cli import main; main()"
    command = [sys.executable, "-c", code, "judge", f"examples/truth/{name}.jsonl", *JUDGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    *_, whole = judged(name)
    lines = [line for line in whole.splitlines() if line in done.stdout and line.startswith(" " * 12)]
    lacking = [line for line in done.stdout.splitlines() if line.endswith("- (needs pip install 'spct[bench]')")]
    assert lacking
    assert lines or name in ("ranking", "grades")
