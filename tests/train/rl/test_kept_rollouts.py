import pytest

from spct.errors import RunError
from spct.templates import load_template
from spct.train.rl.kept_rollouts import KeptRollouts, step_file
from spct.train.rl.prompts import Prompt
from spct.train.rl.reward import score_rollout
from spct.types import Item, Message
from spct.view.rollouts_page import rollouts_of, steps_kept

GRM = load_template("grm")
TEXTS = [(r"\boxed{9, 2}", "stop"), ("no scores", "stop"), (r"\boxed{2, 9", "length")]


def prompt(visit):
    item = Item(f"q{visit}", (Message("user", "x"),), ("a", "b"), best=1)
    return Prompt(visit, item, (1, 0), GRM, (Message("user", f"Judge {visit}."),))


def keep(out, step, visits, most):
    prompts = [prompt(visit) for visit in visits]
    texts = [TEXTS[at % 3] for at in range(len(visits))]
    scored = [score_rollout(*text, one.item, one.order, GRM) for text, one in zip(texts, prompts, strict=True)]
    KeptRollouts(out, most).keep(step, prompts, texts, scored)


def test_whole_groups_of_the_first_prompts_are_kept_and_read_again(tmp_path):
    keep(tmp_path, 12, [4, 4, 4, 7, 9, 7], most=2)
    assert steps_kept(tmp_path) == [12]
    groups = rollouts_of(tmp_path, 12)
    assert [(group.item, group.best, group.places, len(group.rollouts)) for group in groups] == [
        ("q4", 1, [(1,), (0,)], 3),
        ("q7", 1, [(1,), (0,)], 2),
    ]
    assert "Judge 4." in groups[0].prompt[0][1].html
    assert [(one.reward, one.grade) for one in groups[0].rollouts] == [
        (1.0, "correct"), (-1.0, "invalid"), (-1.0, "invalid"),
    ]  # fmt: skip
    assert "truncated" in groups[0].rollouts[2].why


def test_a_step_that_comes_again_is_written_again(tmp_path):
    keep(tmp_path, 1, [1, 2], most=2)
    before = step_file(tmp_path, 1).read_bytes()
    keep(tmp_path, 1, [1], most=2)
    assert [group.item for group in rollouts_of(tmp_path, 1)] == ["q1"]
    keep(tmp_path, 1, [1, 2], most=2)
    assert step_file(tmp_path, 1).read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "rollouts").write_text("")
    with pytest.raises(RunError, match="rollouts: cannot be made"):
        keep(tmp_path, 1, [1], most=2)
