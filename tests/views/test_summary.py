from spct.items import parse_item
from spct.judges.settings import judge_settings
from spct.prices import Prices
from spct.types import Item, ItemError, Judgment, Message, Problem, Usage
from spct.views import Totals, run_summary
from spct.views.surface import PLAIN, Surface
from spct.voting.vote import decide
from spct.wording import rate, rate_over, spell_seconds

QUERY = (Message("user", "x"),)


def judged(rows, id="q", codes=(), error=None):
    n = len(rows[0]) if rows else 2
    judgments = [Judgment(i, tuple(range(n)), i, f"text {row}", "stop", row) for i, row in enumerate(rows)]
    judgments += [
        Judgment(i, tuple(range(n)), i, f"bad {i}", "stop", None, Problem(code, "why")) for i, code in enumerate(codes)
    ]
    return decide(judgments, id=id, n=n, k=2, error=error)


def pair(best):
    return Item("q", QUERY, ("a", "b"), best=best)


def counted(**given):
    totals = Totals(**given)
    totals.add(judged([(3, 9), (4, 8)]), pair(1), replayed=2)
    totals.add(judged([(3, 9), (4, 8)]), pair(0))
    totals.add(judged([(6, 6), (6, 6)]), pair(0))
    totals.add(judged([(3, 9)], codes=["truncated", "no_box", "truncated"]), pair(None))
    totals.add(judged([], "bad\x1b[2J", codes=["no_box", "no_box"]), pair(0))
    totals.add(judged([], "long", error=ItemError("ContextLengthError", "it can never fit")), pair(None))
    return totals


def test_counts():
    totals = counted()
    assert (totals.items, totals.verdicts, totals.no_verdict) == (6, 4, {"NoValidJudgment": 1, "ContextLengthError": 1})
    assert (totals.judgments, totals.invalid, totals.replayed) == (12, {"truncated": 2, "no_box": 3}, 2)
    assert (totals.ties, totals.duplicates, totals.duplicate_items) == (1, 1, 1)
    grades = totals.grades
    assert (grades.correct, grades.wrong, grades.tied, grades.invalid, grades.credit) == (1, 1, 1, 1, 1.5)


def test_a_run_in_full():
    totals = counted(planned=8, usage=Usage(5000, 1200, 100, 12), seconds=75.0, prices=Prices(1.26, 5.0))
    assert run_summary(totals, judge_settings(k=2), bad_rows=1, surface=PLAIN).splitlines() == [
        "items       6 of 8 items, 4 verdicts, 2 without one (ContextLengthError 1, NoValidJudgment 1), "
        "1 unreadable row left out",
        "            bad\\x1b[2J: none of the 2 judgments validly scores all responses (no_box 2); raise max_tokens if they "
        "are truncated, turn the grammar on, or raise retries",
        "            long: it can never fit",
        "judgments   12, 5 of them invalid (41.7%): no_box 3, truncated 2; 2 of them were in the run directory already",
        "short       1 of 4 votes rest on fewer judgments than planned: no_box 1, truncated 1; --resume with --retries "
        "above 2 asks again for the invalid ones; a larger --max-tokens (a run of its own) ends fewer of them early",
        "vote        sum of scores over k = 2",
        'ties        1 item tied for first place; tie rule "random": a seeded shuffle decides',
        "truth       ✓ 1 correct, ✗ 1 wrong, = 1 tied, - 1 invalid, of 4 items with a known best or label",
        "            25.0% correct (strict: a tie counts as wrong, and so does no verdict)",
        "            37.5% if a tie earns 1/#tied (what breaking ties at random scores)",
        "            mean reciprocal rank 0.562",
        "not graded  2 items: nothing says which response is right",
        "tokens      5,000 in (100 cached), 1,200 out, 12 requests, 1 min 15 s: 16 tokens/s out",
        "cost        0.0123 in the unit of the prices given",
        "warning: 1 judgment on 1 item repeats an earlier one of the same prompt word for word (8.3%).",
        "  A repeat is no new evidence: those votes rest on fewer than k = 2 judgments, and their confidence",
        "  is too high. A few are normal for short or near-certain answers; many mean that the server ignores the seed",
        "  or copies it to all samples of a request. Ask for one sample a request (openai: --engine-option",
        "  n_per_request=1), raise --temperature, or use another engine.",
    ]


def test_a_plain_run_says_no_more_than_it_knows():
    totals = Totals()
    totals.add(judged([(3, 9), (4, 8)]), pair(None))
    assert run_summary(totals, judge_settings(k=2, rule="mean"), surface=PLAIN).splitlines() == [
        "items       1 item, 1 verdict",
        "judgments   2, 0 of them invalid (0.0%)",
        "vote        mean score over k = 2",
        "ties        none for first place",
    ]


def test_a_terminal_gets_lines_that_fit():
    narrow = Surface(width=60, terminal=True)
    rows = run_summary(counted(planned=8), judge_settings(k=2), surface=narrow).splitlines()
    assert rows[:6] == [
        "items       6 of 8 items, 4 verdicts, 2 without one",
        "            (ContextLengthError 1, NoValidJudgment 1)",
        "            bad\\x1b[2J: none of the 2 judgments validly",
        "            scores all responses (no_box 2); raise",
        "            max_tokens if they are truncated, turn the",
        "            grammar on, or raise retries",
    ]
    facts = rows[: next(i for i, row in enumerate(rows) if row.startswith("warning"))]
    assert max(map(len, facts)) <= 60


def test_few_repeats_are_a_line_and_no_warning():
    text = run_summary(Totals(judgments=100, duplicates=1, duplicate_items=1), judge_settings(), surface=PLAIN)
    last = "repeats     1 judgment on 1 item repeats an earlier one of the same prompt word for word (1.0%)"
    assert text.splitlines()[-1] == last
    assert "warning" not in text


def test_a_single_response_is_graded_by_its_label():
    for scale, counted in [((0, 1), (1, 1)), ((1, 10), (0, 0)), (None, (0, 0))]:
        totals = Totals(scale=scale)
        for label, scores in [(1.0, 1), (0.0, 1)]:
            totals.add(judged([(scores,), (scores,)]), Item("one", QUERY, ("a",), rewards_N=(label,)))
        assert (totals.grades.correct, totals.grades.wrong) == counted
        text = run_summary(totals, judge_settings(k=2), surface=PLAIN)
        assert ("correct" in text) == (scale == (0, 1))
        assert "ROC-AUC 0.500" in text


def rewarded(*rewards):
    return parse_item({"prompt": "x", "responses": ["a", "b"], "rewards": rewards}, where="row")


def test_groups_with_several_right_or_none_all_count():
    totals = Totals()
    for rewards in [(1, 0), (1, 1), (0, 0), (0, 1)]:
        totals.add(judged([(9, 3), (8, 3)]), rewarded(*rewards))
    text = run_summary(totals, judge_settings(k=2), surface=PLAIN).splitlines()
    assert text[4:] == [
        "rewards     4 items with rewards, of which several may be the highest",
        "            mean reward of the one chosen 0.500",
        "            mean reward of the best there 0.750",
        "            mean reward of one at random 0.500",
        "            regret against the best there 0.250",
        "            Kendall's tau-b 0.000 (2 left out, where it is not defined)",
        "            Spearman's rho 0.000 (2 left out, where it is not defined)",
        "            NDCG 0.877 (1 left out, where it is not defined)",
        "            mean reward of the one chosen among S at random: S = 1 0.500, S = 2 0.500",
    ]


def test_rewards_with_one_best_each_are_right_or_wrong_too():
    totals = Totals()
    for rewards in [(1, 0), (0, 1)]:
        totals.add(judged([(9, 3), (8, 3)]), rewarded(*rewards))
    assert (totals.grades.correct, totals.grades.wrong) == (1, 1)


def test_votes_on_fewer_judgments_than_planned_are_counted():
    totals = Totals()
    totals.add(judged([(3, 9), (4, 8)]), pair(1))
    cut = Judgment(1, (0, 1), 5, "bad", "length", None, Problem("truncated", "why"))
    failed = Judgment(1, (0, 1), 5, "bad", "stop", None, Problem("no_box", "why"))
    filled = Judgment(1, (0, 1), 6, "good", "stop", (3, 9), attempt=1)
    first = Judgment(0, (0, 1), 1, "fine", "stop", (3, 9))
    totals.add(decide([first, cut], id="q", n=2, k=2), pair(1))
    totals.add(decide([first, failed, filled], id="q", n=2, k=2), pair(1))
    totals.add(decide([first, failed], id="q", n=2, k=2), pair(1))
    totals.add(decide([first], id="q", n=2, k=2, error=ItemError("RequestRefusedError", "no")), pair(1))
    totals.add(decide([first], id="q", n=2, k=2), pair(1))  # adaptive k: settled after one
    assert (totals.short, totals.short_causes) == (3, {"truncated": 1, "no_box": 1, "RequestRefusedError": 1})
    (said,) = [row for row in run_summary(totals, judge_settings(k=2), surface=PLAIN).splitlines() if "short" in row]
    assert said == (
        "short       3 of 6 votes rest on fewer judgments than planned: RequestRefusedError 1, no_box 1, truncated 1; "
        "--resume samples what an error kept away; --resume with --retries above 2 asks again for the invalid ones; "
        "a larger --max-tokens (a run of its own) ends fewer of them early"
    )


def test_spell_seconds():
    spelled = [spell_seconds(s) for s in (0, 0.4, 59.4, 60, 3599, 7260, 90000)]
    assert spelled == ["0.0 s", "0.4 s", "59 s", "1 min 0 s", "59 min 59 s", "2 h 1 min", "1 d 1 h"]


def test_rates_are_figures_that_say_something():
    assert [rate(r, "token") for r in (76_322.4, 10, 9.96, 0.5, 0.0371)] == [
        "76,322 tokens/s",
        "10 tokens/s",
        "10 tokens/s",
        "0.5 tokens/s",
        "0.037 tokens/s",
    ]
    assert rate_over(3.0, 300, "token") == "100 tokens/s"
    assert [rate_over(seconds, count, "token") for seconds, count in ((2.9, 300), (0, 300), (10, 0))] == ["", "", ""]


def test_a_summary_has_a_rate_only_where_the_time_measured_carries_one():
    def tokens(completion_tokens, seconds):
        totals = Totals(usage=Usage(5000, completion_tokens, 0, 12), seconds=seconds)
        return run_summary(totals, judge_settings(), surface=PLAIN).splitlines()[-1]

    assert tokens(8_416_546, 0.6) == "tokens      5,000 in, 8,416,546 out, 12 requests, 0.6 s"
    assert tokens(0, 60) == "tokens      5,000 in, 0 out, 12 requests, 1 min 0 s"
    assert tokens(30, 60) == "tokens      5,000 in, 30 out, 12 requests, 1 min 0 s: 0.5 tokens/s out"
    assert tokens(600, None) == "tokens      5,000 in, 600 out, 12 requests"
