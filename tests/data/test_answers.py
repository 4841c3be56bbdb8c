from fractions import Fraction

import pytest

from spct.data.answers import UncheckableError, exact_number, final_answer, same_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So \\boxed{3}, no: \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("48/2 = 24\n#### 72", "72"),
        ("He makes 9*2=<<9*2=18>>18\nA: 18", "18"),
        ("Answer: 5 apples.", "5 apples"),
        ("The answer is 12. I am sure.", "12"),
        ("The answer is 3.5", "3.5"),
        ("**The final answer is: 7**", "7"),
        ("#### 1\n#### 2", "2"),
        ("\\boxed{unfinished", None),
        ("\\boxed{}", None),
        ("A: ", None),
        ("nothing here", None),
        ("", None),
    ],
)
def test_the_last_marked_answer_counts(text, answer):
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", Fraction(18)),
        ("$1,234.50", Fraction("1234.5")),
        ("-7", Fraction(-7)),
        ("3/4", Fraction(3, 4)),
        (".5", Fraction(1, 2)),
        ("12 dollars", Fraction(12)),
        ("5 fluid ounces.", Fraction(5)),
        ("50\\%", Fraction(50)),
        ("1,23", None),
        ("1.8 billion", None),
        ("3/0", None),
        ("10+x", None),
        ("2, 3", None),
        ("1e999999999", None),
        ("", None),
    ],
)
def test_plain_numbers_are_read_exactly(text, value):
    assert exact_number(text) == value


@pytest.mark.parametrize(
    ("reference", "answer", "same"),
    [
        ("18", "18.0", True),
        ("18", "$18", True),
        ("1000", "1,000", True),
        ("1/3", "0.333333", False),
        ("18", "18 eggs", True),
        ("18", "1.8 billion", False),
        ("10", "10+John's age", False),
        ("\\frac{1}{2}", "0.5", True),
        ("\\frac{1}{2}", "\\dfrac12", True),
        ("\\frac{1}{2}", "\\frac{2}{1}", False),
        ("x^2+1", "1 + x^2", True),
        ("x^2+1", "x^2-1", False),
        ("2\\sqrt{2}", "\\sqrt{8}", True),
        ("[0,1)", "[0,1]", False),
        ("\\text{Evelyn}", "\\text{Evelyn}", True),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", True),
        ("2", "2, 3", False),
    ],
)
def test_equal_answers(reference, answer, same):
    pytest.importorskip("math_verify")
    assert same_answer(reference, answer) is same


def test_an_answer_of_prose_is_not_judged():
    with pytest.raises(UncheckableError):
        same_answer("\\frac{1}{2}", "because " * 100)
