"""Rows in the layout of each upstream data set, written for these tests; and small directories made of them."""

import gzip
import json
from pathlib import Path

import pytest

REAL = Path(__file__).parents[2].parent / "shared" / "data"

HELPSTEER2 = {
    "split": "train",
    "prompt": "Name a prime above 10.",
    "response_1": "12",
    "response_2": "11",
    "preference_strength": 2,
    "preference_statement": "Response 2 is better",
}
HELPSTEER3 = {
    "domain": "code",
    "language": "python",
    "context": [{"role": "user", "content": "Sort a list."}],
    "response1": "sorted(x)",
    "response2": "x.sorted()",
    "overall_preference": -3,
    "individual_preference": [{"score": -3, "reasoning": "Response 2 has no such method."}],
}
ULTRAFEEDBACK = {
    "source": "evol_instruct",
    "instruction": "Describe rain.",
    "models": ["a", "b", "c", "d"],
    "completions": [
        {"model": "a", "response": "Wet.", "overall_score": 10.0, "fine-grained_score": 1.25},
        {"model": "b", "response": "Water that falls from clouds.", "overall_score": 8.0, "fine-grained_score": 4.75},
        {
            "model": "c",
            "response": "Drops.",
            "annotations": {
                "instruction_following": {"Rating": "3"},
                "honesty": {"Rating": "N/A"},
                "truthfulness": {"Rating": "4"},
                "helpfulness": {"Rating": "2"},
            },
        },
        {"model": "d", "response": "It rains.", "fine-grained_score": 3.0},
    ],
}
BINARIZED = {
    "prompt": "Describe rain.",
    "prompt_id": "1",
    "messages": [],
    "chosen": [{"role": "user", "content": "Describe rain."}, {"role": "assistant", "content": "Falling water."}],
    "rejected": [{"role": "user", "content": "Describe rain."}, {"role": "assistant", "content": "Wet."}],
    "score_chosen": 8.5,
    "score_rejected": 4.0,
}
OFFSETBIAS = {"instruction": "Say hello in one word.", "output_1": "Hello to all!", "output_2": "Hello", "label": 2}
SKYWORK = {
    "chosen": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}],
    "rejected": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "5"}],
    "source": "magpie_pro",
}
HH = {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello!", "rejected": "\n\nHuman: Hi\n\nAssistant: Go away."}
HH_SAMPLE = {
    "unique_id": "1",
    "evaluation_sample": {
        "input": [{"role": "user", "content": "Hi", "content_label": None}],
        "outputs": [
            {"role": "assistant", "content": "Hello!", "content_label": "chosen"},
            {"role": "assistant", "content": "Go away.", "content_label": "rejected"},
        ],
        "data_info": {"domain": "helpfulness"},
    },
}
FINEGRAINED = {
    "question": "Who wrote it?",
    "passages": [["A book", "A book\n\nIt was written by Ann.", "Ben drew the cover."]],
    "gold": "Ann wrote it.",
    "prediction 1": "Ann",
    "prediction 2": "Ben",
    "prediction 3": "Cem",
    "prediction 4": "Dee",
    "feedback": {},
    "preference": [1, 1, 1, 0, 2, 0],
}
GSM8K = {
    "question": "Ann has 3 boxes of 6 eggs. How many eggs?",
    "ground_truth": "3*6=<<3*6=18>>18\nA: 18",
    "6b_finetuning": {"is_correct": False, "solution": "3+6=9\nA: 9"},
    "175b_finetuning": {"is_correct": True, "solution": "3*6=18\nA: 18"},
}
GSM8K_HUB = {
    "question": "Ann has 3 boxes of 6 eggs. How many eggs?",
    "answer": "3*6=<<3*6=18>>18\n#### 18",
    "solutions": ["There are \\boxed{18} eggs.", "The answer is 18 eggs.", "#### 81"],
}
MATH = {
    "problem": "What is half of $x+1$ at $x=2$?",
    "level": "Level 1",
    "type": "Algebra",
    "solution": "It is $\\boxed{\\frac{3}{2}}$.",
    "solutions": ["So $\\boxed{1.5}$.", "So $\\boxed{\\dfrac{2}{3}}$."],
}
RMB_PAIR = {
    "pair_uid": "1",
    "conversation_input": [{"role": "user", "content": "how?", "language": "English"}],
    "chosen": {"llm_name": "a", "answer": "like this"},
    "reject": {"llm_name": "b", "answer": "no"},
    "category_path": "Pairwise_set/Helpfulness/Chat/Discussion",
}
RMB_SET = {
    "bon_uid": "1",
    "conversation_input": [{"role": "user", "content": "how?"}],
    "bon_best": {"llm_name": "a", "answer": "like this"},
    "loser_list": [{"llm_name": "b", "answer": "no"}, {"llm_name": "c", "answer": "never"}],
    "category_path": "BoN_set/Harmlessness/S1",
}


def real(*parts):
    """The path of real upstream files; skips the test where they are not beside the checkout."""
    path = REAL.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the upstream files {'/'.join(parts)} are not at ../shared/data")
    return path


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path


def pairs(n, start=0):
    """n preference rows with n different queries."""
    return [
        {"prompt": f"Which number follows {i}?", "chosen": str(i + 1), "rejected": str(i + 2)}
        for i in range(start, start + n)
    ]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
