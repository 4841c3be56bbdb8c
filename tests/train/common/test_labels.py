"""Items of which no judgment could be right are refused before training."""

from pathlib import Path

import pytest

from spct.errors import InputError
from spct.templates import load_template
from spct.train.common.labels import check_label
from spct.types import Item, Message

QUERY = (Message("user", "Name a prime."),)
GRM, SINGLE = load_template("grm"), load_template("grm-single")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Item("a", QUERY, ("1",), rewards_N=(0.5,)), "the label 0.5; expected a whole number from 0 to 1"),
        (Item("a", QUERY, ("1",), rewards_N=(7.0,)), "the label 7; expected a whole number from 0 to 1"),
        (Item("a", QUERY, ("1",)), "no label"),
        (Item("a", QUERY, ("1", "2")), "no single best one"),
    ],
)
def test_labels_that_no_judgment_could_meet_are_refused(item: Item, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_label(item, SINGLE if len(item.responses) == 1 else GRM)


def test_labels_of_the_ten_point_scale_suit_a_template_that_has_it() -> None:
    check_label(Item("a", QUERY, ("1",), rewards_N=(7.0,)), GRM)


@pytest.mark.parametrize(
    ("name", "words"), [("answer", "a text and no scores"), ("own-answer", "has a first step"), ("begun", "begins the")]
)
def test_templates_that_nobody_can_be_trained_on_are_refused(name: str, words: str, tmp_path: Path) -> None:
    begun = tmp_path / "begun.jinja"
    begun.write_text('{% message "user" %}{{ query }}{% endmessage %}{% message "assistant" %}Scores:{% endmessage %}')
    with pytest.raises(InputError, match=words):
        check_label(Item("a", QUERY, ("1", "2"), best=1), load_template(str(begun) if name == "begun" else name))
