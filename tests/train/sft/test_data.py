from functools import partial
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from engines.tiny_models import save_tokenizer
from spct.errors import InputError, TrainingError
from spct.recipe import parse_recipe
from spct.train.common.chat import ChatEncoder
from spct.train.common.token_rows import token_rows
from spct.train.sft.data import SCHEMA, sft_rows
from spct.train.sft.recipe import SftRecipe
from train import small


@pytest.fixture
def encoder(tmp_path):
    save_tokenizer(tmp_path / "tok")
    return ChatEncoder(AutoTokenizer.from_pretrained(tmp_path / "tok"), "m")


def written(tmp_path, encoder, context=256, **more):
    recipe = parse_recipe(SftRecipe, small.recipe(tmp_path, **more))
    folder = tmp_path / f"tokens-{context}-{'-'.join(more)}"
    rows, counts = token_rows(folder, "train", SCHEMA, partial(sft_rows, recipe, encoder, context))
    return SimpleNamespace(**counts), rows


def test_rows_hold_the_tokens_and_the_counts_are_theirs(tmp_path, encoder):
    small.trajectories(tmp_path)
    counts, rows = written(tmp_path, encoder)
    assert encoder.tokenizer.decode(rows[0]["input_ids"]) == "<|user|>after red<|end|><|assistant|>blue!<|end|>"
    assert (counts.trajectories, counts.hinted, counts.general, counts.sources) == (8, 4, 0, {"words": 8})
    assert counts.tokens == sum(len(row["input_ids"]) for row in rows)
    assert counts.loss_tokens == sum(label != -100 for row in rows for label in row["labels"])
    assert counts.longest == max(len(row["input_ids"]) for row in rows)


@pytest.mark.parametrize(("share", "general"), [(0.2, 2), (0.5, 8), (2 / 3, 16)])
def test_general_data_has_the_stated_share_and_repeats_nothing(tmp_path, encoder, share, general):
    small.trajectories(tmp_path)
    path = small.general(tmp_path)
    counts, rows = written(tmp_path, encoder, general={"path": str(path), "share": share})
    texts = [encoder.tokenizer.decode(row["input_ids"]) for row in rows]
    assert (counts.general, len(texts), len(set(texts))) == (general, 8 + general, 8 + general)
    assert counts.general_share == round(general / (8 + general), 4)
    assert sum("say" in text for text in texts) == general


def test_a_share_that_cannot_be_met_says_what_can(tmp_path, encoder):
    small.trajectories(tmp_path)
    path = small.general(tmp_path, 6)
    with pytest.raises(InputError, match=r"takes 8 rows, and there are 6; lower the share to 0\.429"):
        written(tmp_path, encoder, general={"path": str(path), "share": 0.5})


def test_hinted_and_sampled_ones_can_be_left_out(tmp_path, encoder):
    small.trajectories(tmp_path)
    assert (written(tmp_path, encoder, hinted=False)[0].trajectories, 4) == (4, 4)
    counts, _ = written(tmp_path, encoder, sampled=False)
    assert (counts.trajectories, counts.hinted) == (4, 4)


def shown(order, best=0, **more):
    return {
        "messages": [{"role": "user", "content": f"{order}"}],
        "completion": "y",
        "order": order,
        "best": best,
        **more,
    }


def test_balanced_places_learn_as_many_of_each_and_count_the_others(tmp_path, encoder):
    pairs = [shown([1, 0])] * 6 + [shown([0, 1])] * 2
    fours = [shown([0, 1, 2])] * 3 + [shown([1, 0, 2])] * 2  # never shown last
    small.jsonl(tmp_path / "trajectories.jsonl", [*pairs, *fours, shown([0])])
    counts, rows = written(tmp_path, encoder, balance_places=True)
    texts = sorted(encoder.tokenizer.decode(row["input_ids"]) for row in rows)
    assert [sum(text.startswith(f"<|user|>{order}<") for text in texts) for order in ("[1, 0]", "[0, 1]", "[0]")] == [
        2,
        2,
        1,
    ]
    assert (counts.trajectories, counts.unbalanced) == (5, 9)
    everything, _ = written(tmp_path, encoder)
    assert (everything.trajectories, everything.unbalanced) == (14, 0)


def test_places_are_balanced_among_what_is_learned(tmp_path, encoder):
    rows = [shown([1, 0], hinted=True)] * 3 + [shown([1, 0])] + [shown([0, 1])] * 3
    small.jsonl(tmp_path / "trajectories.jsonl", rows)
    assert written(tmp_path, encoder, balance_places=True)[0].trajectories == 6
    counts, _ = written(tmp_path, encoder, balance_places=True, hinted=False)
    assert (counts.trajectories, counts.hinted, counts.unbalanced) == (2, 0, 2)


@pytest.mark.parametrize("row", [shown([0, 1], best=None), shown([0, 1], best=2), shown(None), shown("01")])
def test_balanced_places_need_to_know_the_place(tmp_path, encoder, row):
    small.jsonl(tmp_path / "trajectories.jsonl", [shown([0, 1]), row])
    with pytest.raises(
        InputError, match=r"trajectories.jsonl, line 2: balance_places needs order and best, .* got order"
    ):
        written(tmp_path, encoder, balance_places=True)


def test_a_place_that_no_judgment_has_leaves_nothing(tmp_path, encoder):
    small.jsonl(tmp_path / "trajectories.jsonl", [shown([1, 0])] * 3)
    with pytest.raises(TrainingError, match="3 dropped to balance places"):
        written(tmp_path, encoder, balance_places=True)


def test_an_example_longer_than_the_context_stops_or_is_counted(tmp_path, encoder):
    rows = [{"messages": [{"role": "user", "content": "x" * size}], "completion": "y"} for size in (4, 100)]
    small.jsonl(tmp_path / "trajectories.jsonl", rows)
    with pytest.raises(
        InputError, match=r"trajectories.jsonl, line 2: 105 tokens, 103 of them the prompt, and the context is"
    ):
        written(tmp_path, encoder, context=64)
    counts, kept = written(tmp_path, encoder, context=64, on_long="drop")
    assert (counts.trajectories, counts.too_long, len(kept)) == (1, 1, 1)


def test_a_prompt_with_control_tokens_in_its_text_is_left_out(tmp_path, encoder):
    rows = [{"messages": [{"role": "user", "content": text}], "completion": "y"} for text in ("a", "a<|assistant|>b")]
    small.jsonl(tmp_path / "trajectories.jsonl", rows)
    counts, kept = written(tmp_path, encoder)
    assert (counts.trajectories, counts.control_tokens, len(kept)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [{"role": "user", "content": "a"}]}, "line 1: got no 'completion'"),
        ({"messages": "a", "completion": "b"}, "line 1: messages: got str"),
        (
            {"messages": [{"role": "user", "content": "a"}], "completion": None},
            "line 1: completion: got None; expected the",
        ),
        (
            {"messages": [{"role": "user", "content": "a"}], "completion": " "},
            "line 1: completion: got ' '; expected the",
        ),
        ({"messages": [{"role": "user"}], "completion": "b"}, "line 1: messages: got .*; expected role and content"),
        ({"messages": [{"role": "tool", "content": "a"}], "completion": "b"}, "line 1: the chat template of m refuses"),
    ],
)
def test_a_row_that_is_no_trajectory_is_one_error(tmp_path, encoder, row, said):
    small.jsonl(tmp_path / "trajectories.jsonl", [row])
    with pytest.raises(InputError, match="trajectories.jsonl, " + said):
        written(tmp_path, encoder)


def test_zero_trajectories_are_one_error_and_leave_no_file(tmp_path, encoder):
    (tmp_path / "trajectories.jsonl").write_bytes(b"")
    with pytest.raises(TrainingError, match="no trajectory to learn from"):
        written(tmp_path, encoder)
    with pytest.raises(InputError, match="there is no such file"):
        written(tmp_path, encoder, trajectories="none.jsonl")
    assert not list(tmp_path.rglob("*.arrow"))


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "a"}]},
        {"prompt": "a"},
        {"messages": [{"role": "assistant", "content": "a"}]},
    ],
)
def test_general_rows_end_with_an_answer(tmp_path, encoder, row):
    small.trajectories(tmp_path)
    small.jsonl(tmp_path / "general.jsonl", [row] * 8)
    with pytest.raises(InputError, match=r"general.jsonl, line \d: "):
        written(tmp_path, encoder, general={"path": str(tmp_path / "general.jsonl"), "share": 0.5})


def test_prompt_and_completion_are_a_conversation_too(tmp_path, encoder):
    small.trajectories(tmp_path, 1)
    small.jsonl(tmp_path / "general.jsonl", [{"prompt": "a", "completion": "b"}])
    _, rows = written(tmp_path, encoder, general={"path": str(tmp_path / "general.jsonl"), "share": 0.5})
    assert encoder.tokenizer.decode(rows[1]["input_ids"]) == "<|user|>a<|end|><|assistant|>b<|end|>"
