import pytest

from judges.judging import item, judged, names_best
from spct.engines.scripted import ScriptedEngine
from spct.errors import InputError
from spct.judges import load_judge
from spct.judges.settings import judge_settings


async def test_totals_are_votes():
    verdict = await judged("llm-judge", ScriptedEngine(names_best([1, 5, 3])), item(3), k=6)
    assert verdict.totals == (0, 6, 0)
    assert verdict.best == 1


async def test_a_liking_for_the_first_place_gives_equal_votes():
    verdict = await judged("llm-judge", ScriptedEngine(lambda r, j: rf"\boxed{{1}} {r.seed + j}"), item(3), k=6)
    assert verdict.totals == (2, 2, 2)


async def test_an_answer_without_an_index_is_retried_and_then_invalid():
    verdict = await judged("llm-judge", ScriptedEngine(lambda r, j: r"\boxed{3}"), item(2), k=2, retries=1)
    assert (verdict.best, verdict.valid, verdict.invalid) == (None, 0, 4)
    assert {j.problem.code for j in verdict.judgments} == {"out_of_range"}


def test_it_is_the_index_template_of_the_judge_we_have():
    described = load_judge("llm-judge", ScriptedEngine([]), judge_settings()).describe()
    assert described["template"] == "judge"
    assert described == load_judge("grm", ScriptedEngine([]), judge_settings(template="judge")).describe()
    with pytest.raises(InputError, match="template grm-single gives scores"):
        load_judge("llm-judge", ScriptedEngine([]), judge_settings(template="grm-single"))
    with pytest.raises(InputError, match="gives no expected scores"):
        load_judge("llm-judge", ScriptedEngine([]), judge_settings(rule="expected"))
