"""Writes answers.xlsx: 25 questions with two answers each and which of them is right, for docs/export.md."""

from __future__ import annotations

import random
import sys

import xlsxwriter


def main(path: str) -> None:
    draw = random.Random(0)
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Answers")
        sheet.write_row(0, 0, ["Question", "Answer A", "Answer B", "Winner", "Topic"])
        for row in range(1, 26):
            first, second = draw.randint(10, 99), draw.randint(10, 99)
            right = f"{first} + {second} = {first + second}."
            wrong = f"{first} + {second} = {first + second + draw.choice([-10, -1, 1, 10])}. I am sure of it."
            answers = [right, wrong] if draw.random() < 0.5 else [wrong, right]
            winner = "AB"[answers.index(right)]
            topic = "with a carry" if first % 10 + second % 10 > 9 else "without a carry"
            sheet.write_row(row, 0, [f"What is {first} + {second}?", *answers, winner, topic])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "answers.xlsx")
