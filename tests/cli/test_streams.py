"""The command's standard streams: closed, full, or read by nobody. One line at most, and a documented code."""

import json
import subprocess
import sys

import pytest

from cli.test_judge import folder  # noqa: F401 - a folder with items and a script
from spct.cli import COMMANDS, FAULT, OUTPUT, UNREAD

SPCT = f"{sys.executable} -c 'from spct.cli import main; main()'"
PRINTING = ["judge items.jsonl --model scripted:script.py:judge -k 1", "show run", "show run --json", "show run q3",
            "vote run", "runs .", "models list", "bench list", "data list", "serve-key joe", "--help"]  # fmt: skip


@pytest.fixture
def with_run(folder):  # noqa: F811
    shell(folder, "judge items.jsonl --model scripted:script.py:judge -k 1 --out run >out.txt")
    return folder


def shell(where, arguments, before=""):
    script = f"cd {where}; {before} {SPCT} {arguments}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", PRINTING)
def test_output_that_goes_nowhere(with_run, command):
    for how in (">/dev/full", ">&-"):
        done = shell(with_run, f"{command} {how}")
        assert done.returncode == OUTPUT
        told = [line for line in done.stderr.splitlines() if line.startswith("spct:")]
        assert len(told) == 1 and told[0].startswith("spct: stdout cannot be written: ")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["show run", "vote run", "judge items.jsonl --model scripted:script.py:slow -k 1"])
def test_a_reader_that_goes_away(with_run, command):
    done = shell(with_run, f"{command} | (read line; exit 0); exit ${{PIPESTATUS[0]}}")
    assert done.returncode == UNREAD
    assert not [line for line in done.stderr.splitlines() if line.startswith(("spct:", "Traceback", "Exception"))]


def test_a_run_whose_reader_goes_away_says_how_to_go_on(with_run):
    command = "judge items.jsonl --model scripted:script.py:slow -k 1 --out other"
    done = shell(with_run, f"{command} | (read line; exit 0); exit ${{PIPESTATUS[0]}}")
    assert done.returncode == UNREAD
    assert done.stderr.splitlines()[-1] == f"stopped; go on with: spct {command} --resume"


@pytest.mark.parametrize("command", PRINTING)
def test_errors_that_nobody_can_read_change_nothing(with_run, command):
    expected = shell(with_run, command)
    for how in ("2>/dev/full", "2>&-"):
        done = shell(with_run, f"{command} {how}")
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == len(expected.stdout.splitlines())


def test_input_that_is_closed(with_run):
    done = shell(with_run, "judge - --model scripted:script.py:judge <&-")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "stdin cannot be kept" in done.stderr
    assert shell(with_run, "show run <&-").returncode == 0


def test_nothing_is_open_at_all(with_run):
    command = "judge items.jsonl --model scripted:script.py:judge -k 1 --out dark"
    assert shell(with_run, f"{command} >&- 2>&- <&-").returncode == OUTPUT
    assert shell(with_run, f"{command} --resume 2>&- <&-").returncode == 0


def test_a_fault_is_one_line_with_its_place(with_run):
    (with_run / "bad.py").write_text("def f(request, j):\n    return 5 + 'a'\n")
    done = shell(with_run, "judge items.jsonl --model scripted:bad.py:f --concurrency 1")
    assert done.returncode == FAULT
    assert done.stderr.splitlines()[-1] == (
        "spct: a fault: TypeError: unsupported operand type(s) for +: 'int' and 'str' (bad.py:2); SPCT_TRACEBACK=1 shows "
        "where it comes from"
    )
    assert "Traceback" not in done.stderr
    assert "Traceback" in shell(with_run, "judge items.jsonl --model scripted:bad.py:f", "SPCT_TRACEBACK=1").stderr


def test_a_full_disk_ends_a_run_with_the_reason(with_run):
    rows = [{"id": f"{n}", "prompt": "question " * 200 + str(n), "responses": ["a", "b"]} for n in range(400)]
    (with_run / "many.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = shell(
        with_run, "judge many.jsonl --model scripted:script.py:judge -k 2 --out small", "ulimit -f 400; trap '' XFSZ;"
    )
    assert done.returncode == 4
    assert "RunError: small: " in done.stderr.splitlines()[-1]
    assert shell(with_run, "show small").returncode == 0


def test_every_command_has_a_help_that_can_be_piped():
    for name in COMMANDS:
        assert shell(".", f"{name} --help | head -n 1; exit ${{PIPESTATUS[0]}}").returncode in (0, UNREAD)
