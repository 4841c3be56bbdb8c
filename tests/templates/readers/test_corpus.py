"""Ugly outputs for every reader, each with exactly what must be read from it: scores, or the code of the problem."""

from typing import Any

import pytest

from templates.reading import parse_scores

GENRM = {"json": {"scores": "score_{i}", "critique": "analysis"}}
LABELLED = {"json": {"scores": "scores.model-{i}"}}
LISTED = {"json": {"scores": "ratings"}}
NAMED = {"json": {"scores": ["first.score", "second.score"]}}
RANKED = {"json": {"ranking": "best-to-worst", "labels": "model-{i}"}}
STEPS = {"json": {"choice": "ranking", "labels": [1, 2, 3, 4, 5, 6]}}
BETTER = {"json": {"choice": "better", "labels": "{i}"}}
ARENA = {"choice": {"form": "[[{}]]", "labels": ["A", "C", "B"]}}
SEVEN = {"choice": {"form": "[[{}]]", "labels": ["A>>>B", "A>>B", "A>B", "A=B", "B>A", "B>>A", "B>>>A"]}}
RM_R1 = {"choice": {"form": "<answer>[[{}]]</answer>", "labels": ["A", "B"]}}
WINNER = {"choice": {"form": "Winner: Response {}", "labels": "{letter}"}}
OUTPUT = {"choice": {"form": "{}", "labels": ["Output (a)", "Output (b)"]}}
ALONE = {"choice": {"form": "{}", "labels": ["A", "tie", "B"]}}
RESULT = {"pattern": {"form": "[RESULT] {}"}}
TAGGED = {"pattern": {"form": "<score>{}</score>"}}
RATINGS = {"pattern": {"form": "Rating {letter}: {}"}}
SECOND_THOUGHTS = ("or rather", "after all", "no:", "No:", "but then", "first thought")
"""Whoever is cut off between two verdicts has given the first one."""
FIVE, TEN, HALVES = (1, 5), (1, 10), (1, 10, 1)

BOX_EACH = [
    (r"\boxed{8}, \boxed{7}", (8, 7)),
    (r"\boxed{7}, \boxed{7}", (7, 7)),
    ("Response 1 is fine.\nScore: \\boxed{8}\nResponse 2 is not.\nScore: \\boxed{ 7 }\n", (8, 7)),
    ("It ends in \\boxed{4}, I think.\n#### Scores\n\\boxed{8}\n\\boxed{7}", (8, 7)),
    ("**Overall scores:** $\\boxed{8}$ and $\\boxed{7}$.", (8, 7)),
    (r"\boxed{8}", "wrong_count"),
    (r"\boxed{8}, \boxed{7}, \boxed{6}", "wrong_count"),
    ("\\boxed{3}\n\\boxed{8}, \\boxed{7}", "wrong_count"),
    (r"\boxed{8, 7}", "wrong_count"),
    (r"\boxed{8}, \boxed{seven}", "not_integer"),
    (r"\boxed{8}, \boxed{7.5}", "not_integer"),
    (r"\boxed{8}, \boxed{٧}", "not_integer"),
    (r"\boxed{8}, \boxed{11}", "out_of_range"),
    (r"\boxed{\boxed{8}}, \boxed{7}", "not_integer"),
    (r"\boxed{8}, \boxed{7", "no_box"),
    (r"\boxed{8, \boxed{7}", "wrong_count"),
    ("8, 7", "no_box"),
    ("<think>\\boxed{8}, \\boxed{7}", "no_box"),
    ("<think>\\boxed{1}, \\boxed{2}</think>\\boxed{8}, \\boxed{7}", (8, 7)),
    ("", "empty"),
]
LIST = [
    ("Scores: [8, 7]", (8, 7)),
    ("[7,7]", (7, 7)),
    ("As [1] says, fine.\n[ 8 ,\n7 ]", (8, 7)),
    ("**[8, 7]**", (8, 7)),
    ("```\n[8, 7]\n```", (8, 7)),
    ("[[8, 7]]", "not_integer"),
    ("[8, 7], see [3]", "wrong_count"),
    ("[8, 7, 6]", "wrong_count"),
    ("[]", "wrong_count"),
    ("[8, 7.5]", "not_integer"),
    ("[8, seven]", "not_integer"),
    ("[８, 7]", "not_integer"),
    ("[8, 07]", "not_integer"),
    ("[8; 7]", "not_integer"),
    ("[0, 7]", "out_of_range"),
    ("[8, 7", "no_answer"),
    ("(8, 7)", "no_answer"),
    ("【8, 7】", "no_answer"),
    ("<think>[8, 7]", "no_answer"),
    ("<think>[1, 2]</think>[8, 7]", (8, 7)),
]
CARD = [
    (r"Scores: \boxed{8, 7}", (8.0, 7.0)),
    ("Scores: [8.5, 7.25]", (8.5, 7.25)),
    (r"\boxed{[9, 3]}", (9.0, 3.0)),
    (r"\boxed{11, 0}", (10.0, 1.0)),
    (r"\boxed{-4, 7.5}", (1.0, 7.5)),
    (r"\boxed{7, 7}", (7.0, 7.0)),
    ("\\boxed{1, 2} and after all [8, 7]", (8.0, 7.0)),
    (r"\boxed{8}", "wrong_count"),
    (r"\boxed{8, 7, 6}", "wrong_count"),
    (r"\boxed{8, x}", "not_number"),
    (r"\boxed{8/10, 7}", "not_number"),
    (r"\boxed{8, ٧}", "not_number"),
    (r"\boxed{8, 7", "no_box"),
    ("8, 7", "no_box"),
    ("<think>[8, 7]", "no_box"),
]
RESULTS = [
    ("Feedback: good. [RESULT] 4", (4,)),
    ("[RESULT] 4.", (4,)),
    ("[RESULT]   4\n", (4,)),
    ("[RESULT] **4**", (4,)),
    ("[RESULT] 2 was my first thought.\n[RESULT] 4", (4,)),
    ("[RESULT] 4/5", "not_integer"),
    ("[RESULT] 4 out of 5", "not_integer"),
    ("[RESULT] 4, because it is good", "not_integer"),
    ("[RESULT] 3.5", "not_integer"),
    ("[RESULT] four", "not_integer"),
    ("[RESULT] ４", "not_integer"),
    ("[RESULT] 04", "not_integer"),
    ("[RESULT] 4, 5", "wrong_count"),
    ("[RESULT] 6", "out_of_range"),
    ("[RESULT]", "wrong_count"),
    ("[RESULT] \n4", "wrong_count"),
    ("[Result] 4", "no_answer"),
    ("RESULT: 4", "no_answer"),
    ("<think>[RESULT] 4", "no_answer"),
]
TAGS = [
    ("<score>4</score>", (4,)),
    ("<score>\n4\n</score>", (4,)),
    ("<score>2</score> no: <score>4</score>", (4,)),
    ("<score>4</score> of <score>5</score", "no_answer"),
    ("<score>4", "no_answer"),
    ("<score>4 </ score>", "no_answer"),
    ("<score></score>", "wrong_count"),
    ("<score>4.0</score>", "not_integer"),
    ("<score>0</score>", "out_of_range"),
    ("<score><score>4</score></score>", (4,)),
    ("<SCORE>4</SCORE>", "no_answer"),
]
RATED = [
    ("Rating A: 8\nRating B: 7", (8, 7)),
    ("Rating A: 7\nsome words\nRating B: 7.", (7, 7)),
    ("Rating A: 2\nRating B: 3\nNo:\nRating A: 8\nRating B: 7\n", (8, 7)),
    ("Rating A: 8, Rating B: 7", "wrong_count"),
    ("Rating A: 8", "no_answer"),
    ("Rating B: 7\nRating A: 8", "wrong_count"),
    ("Rating A: 8\nRating B: 7\nRating C: 6", "wrong_count"),
    ("Rating A: 8\nRating B: good", "not_integer"),
    ("Rating A: 8\nRating B: 77", "out_of_range"),
    ("rating a: 8\nrating b: 7", "no_answer"),
]
DECIMALS = [
    (r"\boxed{8.5, 7}", (8.5, 7.0)),
    (r"\boxed{7.5, 7.5}", (7.5, 7.5)),
    (r"\boxed{8.55, 7}", "not_number"),
    (r"\boxed{8., 7}", "not_number"),
    (r"\boxed{.5, 7}", "not_number"),
    (r"\boxed{8,5, 7}", "wrong_count"),
    (r"\boxed{1e1, 7}", "not_number"),
    (r"\boxed{10.1, 7}", "out_of_range"),
    (r"\boxed{0.9, 7}", "out_of_range"),
    (r"\boxed{nan, inf}", "not_number"),
]
JSON = [
    ('{"analysis": "One is right.", "score_1": 4, "score_2": 2}', (4, 2)),
    ('{"score_1": 3, "score_2": 3, "ranking": 4}', (3, 3)),
    ('Here it is:\n```json\n{\n  "score_1": 4,\n  "score_2": 2\n}\n```\n', (4, 2)),
    ('{"score_1": 1, "score_2": 1} or rather {"score_1": 4, "score_2": 2}', (4, 2)),
    ('{"analysis": "It says {\\"score_1\\": 5}", "score_1": 4, "score_2": 2}', (4, 2)),
    ('{"analysis": "a line\nand another", "score_1": 4, "score_2": 2}', (4, 2)),
    ('{"score_2": 2, "score_1": 4}', (4, 2)),
    ('A set {x} and then {"score_1": 4, "score_2": 2}', (4, 2)),
    ('{"score_1": 4}', "no_answer"),
    ('{"result": {"score_1": 4, "score_2": 2}}', "no_answer"),
    ('{"score_1": 4, "score_2": 2, "score_3": 1}', "wrong_count"),
    ('{"score_1": 4, "score_2": null}', "not_integer"),
    ('{"score_1": 4, "score_2": "2"}', "not_integer"),
    ('{"score_1": 4, "score_2": 2.0}', "not_integer"),
    ('{"score_1": 4, "score_2": true}', "not_integer"),
    ('{"score_1": 4, "score_2": 02}', "not_integer"),
    ('{"score_1": 4, "score_2": [2]}', "not_integer"),
    ('{"score_1": 4, "score_2": 1e0}', "not_integer"),
    ('{"score_1": 4, "score_2": 6}', "out_of_range"),
    ('{"score_1": 4, "score_1": 5, "score_2": 2}', "not_json"),
    ('{"score\\u005f1": 5, "score_2": 2}', "no_answer"),
    ('{"score_1": ４, "score_2": 2}', "not_json"),
    ('{"score_1": 4, "score_2": 2,}', "not_json"),
    ("{'score_1': 4, 'score_2': 2}", "no_answer"),
    ("{score_1: 4, score_2: 2}", "no_answer"),
    ('{"score_1": 4 "score_2": 2}', "not_json"),
    ('{"score_1": 4, "score_2": 2', "not_json"),
    ('{"analysis": "never closed, {"score_1": 5, "score_2": 1}', "not_json"),
    ('{"analysis": {"score_1": 4, "score_2": 2}', "not_json"),
    ('{"score_1": 4, "score_2": 2} and {"so on": 1', "not_json"),
    ("score_1: 4, score_2: 2", "no_answer"),
    ('<think>{"score_1": 4, "score_2": 2}', "no_answer"),
    ('<think>{"score_1": 1, "score_2": 1}</think>{"score_1": 4, "score_2": 2}', (4, 2)),
    ('{"a": ' * 40 + "1" + "}" * 40, "not_json"),
]
BY_LABEL = [
    ('{"thoughts": "...", "scores": {"model-1": 4, "model-2": 2}, "best-to-worst": ["model-1", "model-2"]}', (4, 2)),
    ('{"scores": {"model-2": 2, "model-1": 4}}', (4, 2)),
    ('{"scores": {"model-1": 4}}', "no_answer"),
    ('{"scores": {"model-1": 4, "model-2": 2, "model-3": 1}}', "wrong_count"),
    ('{"model-1": 4, "model-2": 2}', "no_answer"),
    ('{"scores": [4, 2]}', "no_answer"),
    ('{"scores": {"model-1": 4, "model-2": 2}, ', "not_json"),
]
BY_LIST = [
    ('{"ratings": [4, 2]}', (4, 2)),
    ('{"ratings": []}', "wrong_count"),
    ('{"ratings": [4, 2, 1]}', "wrong_count"),
    ('{"ratings": 4}', "wrong_count"),
    ('{"ratings": ["4", "2"]}', "not_integer"),
]
BY_PATHS = [
    ('{"first": {"score": 4}, "second": {"score": 2}}', (4, 2)),
    ('{"first": {"score": 4}, "second": 2}', "no_answer"),
]
RANKING = [
    ('{"best-to-worst": ["model-2", "model-1", "model-3"]}', (0.5, 1.0, 0.0)),
    ('{"best-to-worst": ["model-2", "model-1"]}', "wrong_count"),
    ('{"best-to-worst": ["model-2", "model-1", "model-1"]}', "wrong_count"),
    ('{"best-to-worst": ["model-2", "model-1", "model-4"]}', "not_choice"),
    ('{"best-to-worst": [["model-2"], "model-1", "model-3"]}', "not_choice"),
    ('{"best-to-worst": "model-2"}', "wrong_count"),
]
SIX_STEPS = [
    ('{"ranking": 1}', (1, 0)),
    ('{"ranking": 3}', (0.6, 0.4)),
    ('{"ranking": "6"}', (0, 1)),
    ('{"ranking": 3.5}', "not_choice"),
    ('{"ranking": 7}', "not_choice"),
    ('{"ranking": null}', "not_choice"),
    ('{"ranking": {"value": 1}}', "not_choice"),
]
BEST_OF_THREE = [
    ('{"better": 2}', (0, 1, 0)),
    ('{"better": "3"}', (0, 0, 1)),
    ('{"better": 4}', "not_choice"),
    ('{"best": 2}', "no_answer"),
]
VERDICTS = [
    ("My final verdict is: [[A]]", (1, 0)),
    ("[[B]]", (0, 1)),
    ("[[C]]", (0.5, 0.5)),
    ("At first [[A]]\nbut then [[B]]", (0, 1)),
    ("**[[ B ]]**", (0, 1)),
    ("[[A]], yes, [[A]]", (1, 0)),
    ("[[A]] or [[B]]", "not_choice"),
    ("[[D]]", "not_choice"),
    ("[[a]]", "not_choice"),
    ("[[Ａ]]", "not_choice"),
    ("[[А]]", "not_choice"),  # a Cyrillic letter
    ("[[A|B]]", "not_choice"),
    ("[[]]", "not_choice"),
    ("[[A]", "no_answer"),
    ("[[A]] and [[", "no_answer"),
    ("[A]", "no_answer"),
    ("A", "no_answer"),
    ("<think>[[A]]", "no_answer"),
    ("<think>[[A]]</think>[[B]]", (0, 1)),
]
SEVEN_STEPS = [
    ("[[A>>>B]]", (1, 0)),
    ("[[A>B]]", (1 - 2 / 6, 2 / 6)),
    ("[[A=B]]", (0.5, 0.5)),
    ("[[B>>A]]", (1 - 5 / 6, 5 / 6)),
    ("[[A>>>>B]]", "not_choice"),
    ("[[B=A]]", "not_choice"),
]
ANSWERS = [
    ("<answer>[[A]]</answer>", (1, 0)),
    ("<eval>[[A]]</eval>\n<answer>[[B]]</answer>", (0, 1)),
    ("<answer>[[C]]</answer>", "not_choice"),
    ("<answer>[[B]]", "no_answer"),
    ("<answer> [[B]] </answer>", "no_answer"),
    ("[[B]]", "no_answer"),
]
WINNERS = [
    ("Winner: Response A", (1, 0, 0)),
    ("Winner: Response C.", (0, 0, 1)),
    ("**Winner: Response B**", (0, 1, 0)),
    ("Winner:  Response \tB", (0, 1, 0)),
    ("Winner: Response D", "not_choice"),
    ("Winner: Response A and B", "not_choice"),
    ("Winner: Response A, since it is right", "not_choice"),
    ("Winner: Response A or Winner: Response B", "not_choice"),
    ("Winner: Response A. Indeed: Winner: Response A", (1, 0, 0)),
    ("winner: response A", "no_answer"),
    ("Winner: A", "no_answer"),
    ("NoWinner: Response A", "no_answer"),
]
OUTPUTS = [
    ("Output (a)", (1, 0)),
    ("**Output (b)**.", (0, 1)),
    ("Output (a) is worse.", "not_choice"),
    ("Output (c)", "not_choice"),
    ("output (a)", "not_choice"),
]
LONE = [
    ("A", (1, 0)),
    ("**B**.\n", (0, 1)),
    ("tie", (0.5, 0.5)),
    ("A or B", "not_choice"),
    ("Response A", "not_choice"),
    ("<think>B</think>\nA", (1, 0)),
    ("<think>A", "no_answer"),
    ("...", "not_choice"),
]
CASES: list[Any] = [
    ("box-each", TEN, 2, BOX_EACH),
    ("list", TEN, 2, LIST),
    ("card", TEN, 2, CARD),
    (RESULT, FIVE, 1, RESULTS),
    (TAGGED, FIVE, 1, TAGS),
    (RATINGS, TEN, 2, RATED),
    ("box", HALVES, 2, DECIMALS),
    (GENRM, FIVE, 2, JSON),
    (LABELLED, FIVE, 2, BY_LABEL),
    (LISTED, FIVE, 2, BY_LIST),
    (NAMED, FIVE, 2, BY_PATHS),
    (RANKED, FIVE, 3, RANKING),
    (STEPS, FIVE, 2, SIX_STEPS),
    (BETTER, FIVE, 3, BEST_OF_THREE),
    (ARENA, TEN, 2, VERDICTS),
    (SEVEN, TEN, 2, SEVEN_STEPS),
    (RM_R1, TEN, 2, ANSWERS),
    (WINNER, TEN, 3, WINNERS),
    (OUTPUT, TEN, 2, OUTPUTS),
    (ALONE, TEN, 2, LONE),
]


@pytest.mark.parametrize(
    ("reader", "scale", "n", "text", "expected"),
    [(reader, scale, n, text, expected) for reader, scale, n, cases in CASES for text, expected in cases],
)
def test_what_is_read(reader, scale, n, text, expected):
    parsed = parse_scores(text, n, scale, reader=reader)
    got = parsed.scores if parsed.problem is None else parsed.problem.code
    if isinstance(expected, str):
        assert got == expected, parsed
    else:
        assert got == pytest.approx(expected, abs=1e-12), parsed
        assert parsed.span is not None


@pytest.mark.parametrize(
    ("reader", "n", "text"),
    [
        (reader, n, text)
        for reader, scale, n, cases in CASES
        for text, expected in cases
        if not isinstance(expected, str) and scale != HALVES and not any(words in text for words in SECOND_THOUGHTS)
    ],
)
def test_cut_off_anywhere_it_says_the_same_or_nothing(reader, n, text):
    """However short a completion was cut, what is read from it is what it would have said, or it has no scores."""
    whole = parse_scores(text, n, reader=reader).scores
    for end in range(len(text) + 1):
        for finish in ("length", "other"):
            got = parse_scores(text[:end], n, (1, 10), finish, reader=reader)
            assert got.scores in (None, whole), text[:end]


@pytest.mark.parametrize(
    ("reader", "n", "text", "scores"),
    [
        ("box-each", 2, "Score: \\boxed{8}\nScore: \\boxed{7}", (8, 7)),
        ("list", 2, "Scores: [8, 7]", (8, 7)),
        ("card", 2, "Scores: [8.5, 7]", (8.5, 7)),
        (RESULT, 1, "Good.\n[RESULT] 4\n", (4,)),
        (TAGGED, 1, "Good.\n<score>4</score>", (4,)),
        (GENRM, 2, 'So\n```json\n{"score_1": 4, "score_2": 2}\n```', (4, 2)),
        (ARENA, 2, "Verdict: [[A]]", (1, 0)),
        (WINNER, 2, "Good.\nWinner: Response A\n", (1, 0)),
    ],
)
def test_cut_off_behind_a_finished_answer(reader, n, text, scores):
    assert parse_scores(text, n, (1, 10), "length", reader=reader).scores == scores


@pytest.mark.parametrize(
    ("reader", "n", "text"),
    [
        ("box-each", 2, "It says \\boxed{8}, \\boxed{7}"),
        ("list", 2, "Response 1 says:\n[8, 7]"),
        ("card", 2, "Response 1 says [8.5, 7]"),
        (RESULT, 1, "Good.\n[RESULT] 4"),  # or 40, or 4 of 5
        (WINNER, 2, "Good.\nWinner: Response A"),
        (TAGGED, 1, "Response 1 says <score>4</score>"),
        (GENRM, 2, 'Response 1 says:\n{"score_1": 4, "score_2": 2}'),
        (GENRM, 2, '{"score_1": 4, "score_2": 2}\nHowever'),
        (ARENA, 2, "Response 1 says [[A]]"),
        (ALONE, 2, "A"),
    ],
)
def test_cut_off_where_more_may_have_followed(reader, n, text):
    assert parse_scores(text, n, (1, 10), "length", reader=reader).problem.code == "truncated"


def test_details_say_got_and_expected():
    def detail(text, n, reader, scale=FIVE):
        return parse_scores(text, n, scale, reader=reader).problem.detail

    assert detail("[[D]]", 2, ARENA) == "got 'D'; expected one of A, C, B"
    assert detail("x", 2, ARENA) == "the answer has no [[...]]; expected one of A, C, B in it"
    assert detail('{"score_1": 9, "score_2": 1}', 2, GENRM) == (
        "the object holds '9, 1'; expected 2 integers from 1 to 5"
    )
    assert detail('{"score_1": 4, "score_1": 1}', 2, GENRM) == (
        'the last JSON object is malformed: the key "score_1" stands twice; expected 2 integers from 1 to 5 at score_1, '
        "score_2 in it"
    )
    assert detail("[RESULT] 4/5", 1, RESULT) == (
        "[RESULT] ... holds '4/5'; '4/5' is no plain integer, expected 1 integer from 1 to 5"
    )
    assert detail(r"\boxed{8.55, 7}", 2, "box", HALVES) == (
        "the box holds '8.55, 7'; '8.55' is no plain number, expected 2 numbers from 1 to 10 with at most 1 decimal place"
    )
