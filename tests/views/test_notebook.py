from html.parser import HTMLParser

from spct.types import ItemError, Judgment, Problem
from spct.voting.verdict import MOST_CHARACTERS, MOST_JUDGMENTS, verdict_html
from spct.voting.vote import decide

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;\x1b[2J"
VOID: set[str] = {"img", "br", "hr", "input", "meta", "link"}


class Page(HTMLParser):
    """Checks nesting and collects tags, attributes and text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.names, self.open, self.text = [], set(), [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def judgment(i, scores, text="fine", problem=None):
    return Judgment(i, (1, 0), i, text, "stop", scores, problem)


def test_everything_is_escaped():
    judgments = [judgment(0, (3, 8), EVIL), judgment(1, None, EVIL, Problem("no_box", EVIL))]
    page = Page(verdict_html(decide(judgments, id=EVIL, n=2, k=2, error=ItemError("RejectedError", EVIL))))
    assert set(page.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td", "span", "details", "summary", "pre"}
    assert page.names == {"style"}
    assert page.open == []
    assert page.text.count("<script>alert('x')</script>") == 5
    assert "\x1b" not in page.text and "\\x1b[2J" in page.text


def test_best_first_with_its_numbers():
    page = Page(verdict_html(decide([judgment(0, (3, 8)), judgment(1, (5, 9), "other")], id="q", n=2, k=2)))
    assert "rankresponsetotalmeanspreadvalid" in page.text
    rows = verdict_html(decide([judgment(0, (3, 8)), judgment(1, (5, 9), "other")], id="q", n=2, k=2)).split("<tr")[2:]
    cells = [[part.split("</td>")[0] for part in row.split("<td")[1:-1]] for row in rows]
    assert [[cell.split(">")[1] for cell in row] for row in cells] == [
        ["1", "1", "17", "8.50", "0.71", "2"],
        ["2", "0", "8", "4.00", "1.41", "2"],
    ]
    assert "width:160px" in rows[0] and "width:75px" in rows[1]
    assert "judgment 0: response 0: 3, response 1: 8" in page.text


def test_a_notebook_finds_it():
    verdict = decide([judgment(0, (3, 8))], id="q", n=2, k=1)
    assert verdict._repr_html_() == verdict_html(verdict)


def test_no_verdict_has_no_table():
    page = Page(verdict_html(decide([], id="q", n=2, k=2)))
    assert "table" not in page.tags
    first, second = page.text.split("\n")[1:3]
    assert first == "q: no verdict"
    assert second.startswith("NoValidJudgment: none of the 0 judgments validly scores all responses")


def test_many_and_long_judgments_are_cut():
    many = [judgment(i, (3, 8), f"{i} " + "x" * 5000) for i in range(MOST_JUDGMENTS + 3)]
    page = Page(verdict_html(decide(many, id="q", n=2, k=len(many))))
    assert page.tags.count("details") == MOST_JUDGMENTS
    assert "3 more in verdict.judgments" in page.text
    assert page.text.count("x" * (MOST_CHARACTERS - 2) + " …") == MOST_JUDGMENTS
