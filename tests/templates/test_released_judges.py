"""The templates of examples/judges, and the table of docs/released-judges.md that is made of them."""

import random
from pathlib import Path

import pytest

from spct.loading import imported_own
from spct.templates import load_template
from templates.gbnf import Grammar

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "judges"
PAGE = (ROOT / "docs" / "released-judges.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in FOLDER.glob("[!_]*.jinja"))


def with_grammar(folder):
    """The templates in ``folder``, as they are for somebody who wants answers held to their form."""
    for path in FOLDER.glob("*.jinja"):
        (folder / path.name).write_text(path.read_text("utf-8").replace("\ngrammar: false\n", "\n"), "utf-8")
    return folder


def test_the_table_is_what_the_script_makes():
    table = imported_own(f"{FOLDER / 'show.py'}:table", "show", "a function")
    assert table() in PAGE


def test_every_template_has_its_row():
    forms = imported_own(f"{FOLDER / 'show.py'}:FORMS", "show", "a mapping")
    assert sorted(forms) == NAMES
    assert [name for name in NAMES if f"`{name}`" not in PAGE.split("## From answer to verdict")[0]] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_reads_what_its_grammar_allows(name, tmp_path):
    template = load_template(str(with_grammar(tmp_path) / f"{name}.jinja"))
    n = 1 if "single" in template.needs else 2
    rng, grammar = random.Random(0), Grammar(template.grammar(n, 256))
    for _ in range(5):
        text = grammar.derive(rng)
        assert template.parse(text, n).problem is None, text


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_that_reasons_before_it_answers_is_left_to_do_so(name):
    """A grammar of the answer alone would take its reasoning away."""
    template = load_template(str(FOLDER / f"{name}.jinja"))
    n = 1 if "single" in template.needs else 2
    held = template.grammar(n, 256) or template.json_schema(n)
    assert (held is None) == (name != "offsetbias")
