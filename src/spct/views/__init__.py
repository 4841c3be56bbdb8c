"""Verdicts and runs as people read them: lines and summaries. Nothing here decides anything."""

from spct.views.summary import run_summary
from spct.views.surface import Surface
from spct.views.table import verdict_header, verdict_line
from spct.views.totals import Totals

__all__ = [
    "Surface",
    "Totals",
    "run_summary",
    "verdict_header",
    "verdict_line",
]
