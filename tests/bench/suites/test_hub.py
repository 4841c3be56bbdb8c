import pytest

from spct.bench.suites import load_benchmark
from spct.bench.suites.hub import fetch
from spct.errors import InputError


def test_a_hub_that_does_not_answer_is_one_clear_error(tmp_path):
    pytest.importorskip("huggingface_hub")
    with pytest.raises(InputError, match="RewardBench 1: cannot fetch allenai/reward-bench from the hub"):
        fetch(load_benchmark("rewardbench").about, cache=tmp_path, endpoint="http://127.0.0.1:9")


def test_a_benchmark_that_is_not_on_the_hub_says_where_it_is():
    with pytest.raises(InputError, match="RMB is not on the hub; get it from Zhou-Zoey"):
        fetch(load_benchmark("rmb").about)
