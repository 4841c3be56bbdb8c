"""Checks of a gate as people and pipelines read them: lines, Markdown, JUnit XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from spct.bench.gate import Check
from spct.harmless import line
from spct.wording import count

TITLES = ("", "what", "wanted", "found", "")


def check_lines(checks: Sequence[Check]) -> Iterator[str]:
    """A table for a terminal, and what it comes to."""
    rows = [TITLES, *((_mark(c), line(c.title), c.wanted, c.found, "" if c.passed else line(c.why)) for c in checks)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield verdict(checks)


def verdict(checks: Sequence[Check]) -> str:
    """``passed: 3 checks`` or ``failed: 1 of 3 checks``."""
    failed = sum(not check.passed for check in checks)
    return f"failed: {failed} of {count(len(checks), 'check')}" if failed else f"passed: {count(len(checks), 'check')}"


def check_markdown(run: str, checks: Sequence[Check]) -> str:
    """A heading and a table, as a pipeline's summary page shows them."""
    rows = [f"| {_mark(c)} | {cell(c.title)} | {cell(c.wanted)} | {cell(c.found)} | {cell(c.why)} |" for c in checks]
    head = ["| | what | wanted | found | why |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"### {cell(run)}: {verdict(checks)}", "", *head, *rows, ""])


def check_junit(run: str, checks: Sequence[Check]) -> str:
    """JUnit XML: a test suite of the run with a test case for each check."""
    failed = sum(not check.passed for check in checks)
    counts = {"tests": str(len(checks)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": f"spct check {line(run)}", **counts})
    for check in checks:
        names = {"classname": f"spct.{line(run)}", "name": f"{line(check.title)} {check.wanted}", "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", names)
        if not check.passed:
            message = line(f"found {check.found}: {check.why}")
            ElementTree.SubElement(case, "failure", {"type": "limit", "message": message}).text = message
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _mark(check: Check) -> str:
    return "✓" if check.passed else "✗"


def cell(text: str) -> str:
    """Text in a cell: no other cell begins in it, no tag, and no link or picture, which a page would fetch."""
    return line(text).replace("|", "\\|").replace("<", "&lt;").replace("](", "]\\(")
