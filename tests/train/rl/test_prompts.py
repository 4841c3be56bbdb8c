from collections import Counter

import pytest

from spct.errors import InputError, TemplateError
from spct.train.rl.prompts import Schedule, Templates
from spct.types import Item, Message


def items(count: int, n: int = 3) -> list[Item]:
    query = (Message("user", "Which?"),)
    return [Item(f"i{i}", query, tuple(f"r{i}.{j}" for j in range(n)), best=i % n) for i in range(count)]


def test_every_epoch_asks_every_item_once_in_another_sequence() -> None:
    schedule = Schedule(items(20), Templates())
    epochs = [[schedule.prompt(epoch * 20 + place).item.id for place in range(20)] for epoch in range(3)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_n_epochs_show_each_response_in_each_place_once(n: int) -> None:
    schedule = Schedule(items(6, n), Templates())
    for start in (0, 2):  # any n epochs in a row
        shown = Counter()
        for visit in range(6 * start, 6 * (start + n)):
            prompt = schedule.prompt(visit)
            shown.update((prompt.item.id, place, response) for place, response in enumerate(prompt.order))
        assert set(shown.values()) == {1} and len(shown) == 6 * n * n


def test_the_best_has_no_fixed_place_within_an_epoch() -> None:
    schedule = Schedule(items(300), Templates())
    places = Counter(prompt.order.index(prompt.item.best) for prompt in map(schedule.prompt, range(300)))
    assert all(80 <= places[place] <= 120 for place in range(3))


def test_a_visit_depends_on_seed_and_number_alone() -> None:
    one, other, reseeded = (Schedule(items(9), Templates(), seed=seed) for seed in (5, 5, 6))
    assert [other.prompt(visit) for visit in reversed(range(27))][::-1] == [one.prompt(visit) for visit in range(27)]
    assert [one.prompt(v).order for v in range(27)] != [reseeded.prompt(v).order for v in range(27)]


def test_mixed_n_has_its_templates_and_scores() -> None:
    query = (Message("user", "Which?"),)
    single = Item("s", query, ("yes",), rewards_N=(1.0,))
    referred = Item("r", query, ("a", "b"), best=0, reference="a")
    schedule = Schedule([single, *items(1), referred], Templates())
    names = {prompt.item.id: prompt.template.name for prompt in map(schedule.prompt, range(3))}
    assert names == {"s": "grm-single", "i0": "grm", "r": "grm-reference"}
    assert list(schedule.scale) == list(range(11))


def test_rows_get_the_prompt_that_the_judge_would_send() -> None:
    schedule = Schedule(items(2), Templates(), special_tokens=("<|end|>",))
    row = schedule.collate([{"visit": 1}])[0]
    prompt = schedule.prompt(1)
    rendered = prompt.template.render(prompt.item, prompt.order, special_tokens=("<|end|>",))
    assert row == {"visit": 1, "prompt": [{"role": m.role, "content": m.content} for m in rendered]}


def test_control_tokens_of_the_tokenizer_stay_out_of_untrusted_text() -> None:
    item = Item("x", (Message("user", "<|end|>"),), ("a<|end|>", "b"), best=0)
    schedule = Schedule([item], Templates(), special_tokens=("<|end|>",))
    assert "<|end|>" not in "".join(message.content for message in schedule.prompt(0).messages)


def test_nothing_to_train_on_and_unmeetable_labels_are_errors() -> None:
    with pytest.raises(InputError, match="no items to train on"):
        Schedule([], Templates())
    with pytest.raises(InputError, match="no single best one"):
        Schedule([Item("x", (Message("user", "?"),), ("a", "b"))], Templates())
    with pytest.raises(TemplateError, match="no such file"):
        Templates("nosuch")
