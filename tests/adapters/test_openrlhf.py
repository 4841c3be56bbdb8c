from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.letters import letters, requests_of, shown_in
from spct.adapters.openrlhf import reward_func_by
from spct.errors import InputError, NoVerdictError


def test_a_function_called_from_a_pool_of_threads_judges_groups_together():
    grm = letters()
    reward_func = reward_func_by(grm, group_size=3)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(reward_func, [f"p{text}<|im_end|>"], ["p"], [None]) for text in ("e", "eee", "ee")]
        answers = [future.result(30) for future in asked]
    assert [answer["rewards"] for answer in answers] == [[1], [3], [2]]
    assert answers[0] == {"rewards": [1], "scores": [1], "extra_logs": {"members": [3.0]}}
    assert sorted(shown_in(requests_of(grm)[0])) == ["e", "ee", "eee"]


def test_a_rollout_without_a_reward_raises():
    with pytest.raises(NoVerdictError):
        reward_func_by(letters(), group_size=1)(["p?"], ["p"], [None])


def test_a_group_larger_than_the_pool_of_threads_is_refused_at_the_start():
    with pytest.raises(InputError, match=r"group_size is 64.*--reward\.remote_url"):
        reward_func_by(letters(), group_size=64)


@pytest.mark.parametrize(
    ("label", "shown"), [(0, "0"), (0.0, "0.0"), (False, "False"), (float("nan"), None), (" ", None)]
)
def test_a_label_of_nought_is_shown_and_one_that_says_nothing_is_not(label, shown):
    grm = letters(k=1)
    reward_func_by(grm, group_size=1, use_label=True)(["pe"], ["p"], [label])
    text = requests_of(grm)[0].messages[-1].content
    assert (f"\n{shown}\n[End reference answer" in text) if shown else "reference answer" not in text
