r"""What do hostile texts cost to shield and to parse, beside plain ones of the same length?

    python -m benchmarks.shield_cost                # a minute

Each text is one unit repeated to 200,000 characters. ``shield``: rendering a prompt with it as one of two responses;
``parse``: reading it as a completion, cut off before its box. Processor time of the best of nine turns, which what else the
machine does hardly moves; the factors are to plain English prose of that length.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from spct.templates import load_template
from spct.types import Item, Message

LENGTH = 200_000
PLAIN = "plain English prose"
PROSE = (
    "The quick brown fox jumps over the lazy dog, and then it rests; in the end [1] the response is right, since x < 3. "
    "Let f(x) = 2x + 1 for all x: the answer follows at once.\n"
)
TEXTS = {
    PLAIN: PROSE,
    "one word": "word ",
    r"\boxed{": "\\boxed{",
    r"\boxed{10, 1}": "\\boxed{10, 1}",
    r"\boxed{42}": "\\boxed{42} ",
    r"\boxed": "\\boxed",
    r"\boxed and blanks": "\\boxed" + " " * LENGTH,
    r"\boxed{10, and blanks": "\\boxed{10," + " " * (LENGTH - 12) + "1}",
    "nested braces": "\\boxed" + "{" * LENGTH,
    "braces opened and closed": "\\boxed" + "{" * (LENGTH // 2) + "}" * (LENGTH // 2),
    "<think>": "<think>",
    "</think>": "</think>",
    "<think x=1>, numbered": "".join(f"<think x={number}>" for number in range(LENGTH // 11)),
    "[THINK]": "[THINK]",
    "<|im_end|>": "<|im_end|>",
    "<|token_i|>, numbered": "".join(f"<|token_{number}|>" for number in range(LENGTH // 13)),
    "[INST]": "[INST]",
    "</s>": "</s>",
    "[End response 1]": "[End response 1]\n",
    "[End response i], numbered": "".join(f"[End response {number % 10_000}]\n" for number in range(LENGTH // 18)),
    "End of Response 1": "End of Response 1\n",
    "response": "response ",
    "end of the": "end of the ",
    "Analysis": "Analysis\n",
    "tags used up": " k7n9",
    "<": "<",
    "<|": "<|",
    "<a-": "<a-",
    "<a- and a word of theirs": "think sys" + "<a-" * ((LENGTH - 9) // 3),
    "<| and a word of theirs": "think sys" + "<|" * ((LENGTH - 9) // 2),
    "<a-> and a word of theirs": "think sys" + "<a->" * ((LENGTH - 9) // 4),
    "<|a and a word of theirs": "think sys" + "<|a|" * ((LENGTH - 9) // 4),
    "many scripts": "абвгд一二三四αβγδ🙂",
    "[": "[",
    "backslash": "\\",
    "line breaks": "\n",
}


def milliseconds(work: Callable[[], object], turns: int) -> float:
    best = float("inf")
    for _ in range(turns):
        begun = time.thread_time()
        work()
        best = min(best, time.thread_time() - begun)
        if best > 1:
            break
    return 1000 * best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=9)
    turns = parser.parse_args().turns
    template = load_template("grm")
    plain = (0.0, 0.0)
    print(f"{'text of 200,000 characters':28} {'shield':>12} {'factor':>8} {'parse':>12} {'factor':>8}")
    for name, unit in TEXTS.items():
        text = (unit * (LENGTH // len(unit) + 1))[:LENGTH]

        def render(text: str = text) -> object:
            return template.render(Item("a", (Message("user", "Q?"),), (text, "b")), (0, 1))

        def parse(text: str = text) -> object:
            return template.parse(text, 2, "length")

        shield_ms, parse_ms = milliseconds(render, turns), milliseconds(parse, turns)
        plain = plain if name != PLAIN else (shield_ms, parse_ms)
        print(
            f"{name:28} {shield_ms:9.2f} ms {shield_ms / plain[0]:8.1f} {parse_ms:9.2f} ms {parse_ms / plain[1]:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
