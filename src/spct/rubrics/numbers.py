"""Numbers of a rubric: fractions, exact as they are written in decimals."""

from __future__ import annotations

from fractions import Fraction


def exact(value: float | Fraction) -> Fraction:
    """A number as it is written: 0.1 is a tenth."""
    return value if isinstance(value, Fraction) else Fraction(str(value))


def number(value: Fraction) -> int | float:
    """A fraction as JSON writes it."""
    return int(value) if value.denominator == 1 else float(value)
