from fractions import Fraction

import pytest

from rubrics.samples import of
from spct.engines.scripted import ScriptedEngine
from spct.judges import judge_of, load_judge
from spct.judges.jury import JuryJudge, Member
from spct.judges.settings import judge_settings
from spct.judges.template_choice import scale_of


def judge(**settings):
    return judge_of(ScriptedEngine([]), judge_settings(**settings))


def jury(*templates, **options):
    made = [Member(f"m{i}", judge(template=template), Fraction(1 + i)) for i, template in enumerate(templates)]
    return JuryJudge(made, **options)


@pytest.mark.parametrize(
    ("make", "scale"),
    [
        (judge, (1, 10)),
        (lambda: judge(template="judge"), (0, 1)),
        (lambda: judge(template="grm-single"), (0, 1)),
        (lambda: judge(rubric=of({"id": "a", "kind": "scale", "scale": [1, 5]})), (0, 1)),
        (lambda: load_judge("longest"), None),
        (lambda: jury("grm", "grm"), (1, 10)),
        (lambda: jury("grm-single", "grm-single"), (0, 1)),
        (lambda: jury("grm", "judge", comparable="rank"), (0, 1)),
        (lambda: jury("grm", "judge", comparable="escalate", below=0.9), None),
    ],
)
def test_the_scales_of_judges(make, scale):
    made = make()
    assert scale_of(made.settings, made.templates) == scale
