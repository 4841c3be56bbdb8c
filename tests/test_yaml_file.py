"""NAME=VALUE of options; files are tested where they are read (recipes, rubrics, juries, templates)."""

import pytest

from spct.errors import InputError
from spct.yaml_file import named_value


def test_a_value_is_yaml_and_the_name_may_have_dashes():
    assert named_value("--judge-option", "top-k=3") == ("top_k", 3)
    assert named_value("--judge-option", "a=b=c") == ("a", "b=c")
    assert named_value("--judge-option", "empty=") == ("empty", None)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("x", "--o 'x': expected NAME=VALUE, please"),
        ("=3", "--o '=3': expected NAME=VALUE, please"),
        ("x=[", "--o 'x=[': '[' is no YAML: while parsing"),
        ("x=2024-99-99", "--o 'x=2024-99-99': '2024-99-99' is no YAML: month must be in 1..12"),
        ("x=" + "[" * 5000, "is no YAML: maximum recursion depth exceeded"),
    ],
    ids=["no value", "no name", "open", "month 99", "deep"],
)
def test_what_is_no_name_and_value_is_one_error(pair, said):
    with pytest.raises(InputError) as caught:
        named_value("--o", pair, ", please")
    assert said in str(caught.value)
