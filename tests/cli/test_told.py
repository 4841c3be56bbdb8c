"""What the commands tell of servers, models and actors can hold what those wrote: none of it is obeyed by a terminal."""

from spct.cli.batch import say
from spct.cli.meta import _summary
from spct.cli.running import say_notes
from spct.meta import load_meta
from spct.run.rating import RatingTotals

HOSTILE = "the server\x1b[2J says\nnote: all is well\u202e"


def test_what_others_wrote_is_one_harmless_line(capsys):
    say(HOSTILE)
    say_notes([HOSTILE])
    told = capsys.readouterr().err
    assert told.splitlines() == [
        "the server\\x1b[2J says note: all is well\\u202e",
        "note: the server\\x1b[2J says note: all is well\\u202e",
    ]


def test_the_first_problem_of_a_rating_is_one_harmless_line():
    summary = _summary(load_meta("random"), RatingTotals(3, 1, 0, HOSTILE))
    assert summary.splitlines()[-1] == (
        "unrated     1 could not be rated and are never kept; the first: the server\\x1b[2J says note: all is well\\u202e"
    )
