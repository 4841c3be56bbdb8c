import io
import os
import re
import select
import struct
import termios
from fcntl import ioctl

import pytest

from spct.cli.progress import RunProgress, write_line
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import Outcome, RunStore, judge_items
from spct.types import Item, Judgment, Message, Problem, Usage
from spct.voting.vote import decide

NEVER_S = 3600.0


class Clock:
    """Seconds that pass only when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def judgment(i, valid=True):
    if valid:
        return Judgment(i, (0, 1), i, f"text {i}", "stop", (4, 7))
    return Judgment(i, (0, 1), i, "bad", "stop", None, Problem("no_box", "no box"))


def outcome(position, replayed=0):
    item = Item(f"q{position}", (Message("user", "x"),), ("a", "b"))
    return Outcome(position, item, decide([judgment(0), judgment(1)], id=item.id, n=2, k=2), replayed)


def make(total, clock=None, **more):
    stream, out = io.StringIO(), io.StringIO()
    progress = RunProgress(total, stream=stream, out=out, interval_s=NEVER_S, clock=clock or Clock(), **more)
    return progress, stream, out


def test_plain_lines_where_there_is_no_terminal():
    clock = Clock()
    progress, stream, out = make(4, clock, price_in=1.0, price_out=2.0)
    with progress:
        clock.now += 2
        progress.on_request([judgment(0), judgment(1, valid=False)], Usage(1000, 500, requests=1))
        progress.on_item(outcome(0))
        progress.print("a verdict")
        progress.refresh()
        clock.now += 2
        progress.on_request([judgment(0), judgment(1)], Usage(1000, 500, requests=1))
        progress.on_item(outcome(1))
        progress.on_item(outcome(2))
        progress.on_item(outcome(3))
    assert out.getvalue() == "a verdict\n"
    assert stream.getvalue().splitlines() == [
        "judging 4 items",
        "1/4 items, 2 samples, 50.0% invalid, cost 0.0020, 250 tokens/s, about 6 s left",
        "done: 4/4 items, 4 samples, 25.0% invalid, cost 0.0040, 250 tokens/s, 4 s",
    ]


def test_replayed_items_do_not_speed_up_the_estimate():
    clock = Clock()
    progress, stream, _ = make(10, clock)
    with progress:
        for position in range(6):
            progress.on_item(outcome(position, replayed=2))
        clock.now += 10
        progress.refresh()
        progress.on_item(outcome(6, replayed=1))
        progress.refresh()
    assert stream.getvalue().splitlines()[1:3] == [
        "6/10 items, 0 samples, 12 from before",
        "7/10 items, 0 samples, 13 from before, about 30 s left",
    ]


def test_tokens_per_second_are_those_of_the_last_seconds():
    clock = Clock()
    progress, stream, _ = make(None, clock)
    with progress:
        for tokens in (10000, 0, 0, 100, 100, 100):
            clock.now += 5
            progress.on_request([], Usage(0, tokens, requests=1))
            progress.refresh()
    rates = [re.search(r"([\d,]+) tokens/s", text).group(1) for text in stream.getvalue().splitlines()[1:]]
    assert rates == ["2,000", "1,000", "0", "10", "20", "20", "343"]


def test_a_run_that_stops_says_so():
    progress, stream, _ = make(3)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines()[-1] == "stopped: 0/3 items, 0 samples, 0 s"


def test_totals():
    clock = Clock()
    progress, _, _ = make(2, clock, price_out=10.0)
    with progress:
        progress.on_request([judgment(0)], Usage(10, 20, 5, 1))
        progress.on_item(outcome(0, replayed=1))
        clock.now += 3
    clock.now += 100
    totals = progress.totals
    assert (totals.planned, totals.items, totals.verdicts, totals.judgments, totals.replayed) == (2, 1, 1, 2, 1)
    assert (totals.usage, totals.seconds, totals.cost) == (Usage(10, 20, 5, 1), 3.0, 0.0002)
    assert not totals.no_verdict


def test_the_timer_writes_lines_by_itself():
    stream = io.StringIO()
    progress = RunProgress(1, stream=stream, out=io.StringIO(), interval_s=0.01)
    with progress:
        while stream.getvalue().count("\n") < 3:
            pass
    assert stream.getvalue().splitlines()[1] == "0/1 items, 0 samples"


@pytest.fixture
def terminal(monkeypatch):
    """A real terminal of 100 columns: (its stream, a function that reads what came)."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    master, slave = os.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))

    def read():
        data = b""
        while select.select([master], [], [], 0)[0]:
            data += os.read(master, 65536)
        return data.decode()

    stream = os.fdopen(slave, "w")
    yield stream, read
    stream.close()
    os.close(master)


def test_a_terminal_has_one_live_line_that_makes_room(terminal):
    stream, read = terminal
    clock = Clock()
    progress = RunProgress(4, stream=stream, out=stream, clock=clock)
    progress.refresh()
    assert read() == "\r\x1b[2K────────────────  0/4 items  0 samples"
    clock.now += 10
    progress.on_request([judgment(0)], Usage(5, 50, requests=1))
    progress.on_item(outcome(0))
    progress.print("q0 is judged")
    live = "━━━━────────────  1/4 items  1 sample  0.0% invalid  5 tokens/s  about 30 s left"
    assert read() == "\r\x1b[2Kq0 is judged\r\n\r\x1b[2K" + live
    progress.print("at once")  # drawn again by the timer, not with every line
    assert read() == "\r\x1b[2Kat once\r\n"
    progress.print("again")
    assert read() == "again\r\n"


def test_a_narrow_terminal_keeps_what_is_done_and_what_is_left(terminal):
    stream, read = terminal
    ioctl(stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, 45, 0, 0))
    clock = Clock()
    progress = RunProgress(4, stream=stream, out=stream, clock=clock)
    clock.now += 10
    progress.on_request([judgment(0)], Usage(5, 50, requests=1))
    progress.on_item(outcome(0))
    progress.refresh()
    assert read() == "\r\x1b[2K1/4 items  1 sample  about 30 s left"


def test_the_live_line_is_gone_at_the_end(terminal):
    stream, read = terminal
    progress = RunProgress(1, stream=stream, out=io.StringIO(), clock=Clock())
    with progress:
        progress.refresh()
    assert read().endswith("\r\x1b[2Kdone: 0/1 items, 0 samples, 0 s\r\n")


def test_a_dumb_terminal_gets_plain_lines(terminal, monkeypatch):
    stream, read = terminal
    monkeypatch.setenv("TERM", "dumb")
    with RunProgress(1, stream=stream, out=io.StringIO(), interval_s=NEVER_S, clock=Clock()):
        pass
    assert read() == "judging 1 item\r\ndone: 0/1 items, 0 samples, 0 s\r\n"


def test_an_encoding_without_the_character_loses_only_that():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write_line(stream, "7.5±0.3 ✓ ok")
    assert raw.getvalue() == b"7.5?0.3 ? ok\n"


async def test_a_real_run_is_counted(tmp_path):
    engine = ScriptedEngine(lambda request, j: judgment_text([4, 7]) if (request.seed + j) % 5 else "no")
    judge = GRMJudge(engine, judge_settings(k=4))
    source = [Item(f"i{i}", (Message("user", f"q {i}"),), ("a", "b"), best=1) for i in range(12)]

    async def run(store):
        progress, _, _ = make(12)
        with progress:
            async for done in judge_items(judge, source, in_flight=3, store=store, on_request=progress.on_request):
                progress.on_item(done)
        return progress.totals

    store = RunStore.create(tmp_path, {})
    first = await run(store)
    assert (first.items, first.verdicts, first.replayed) == (12, 12, 0)
    assert first.judgments == store.count("judgments") == sum(request.n for request in engine.requests)
    assert first.usage == store.usage()
    again = await run(store)
    assert (again.judgments, again.replayed, again.usage) == (first.judgments, first.judgments, Usage())
    assert (again.invalid, again.grades) == (first.invalid, first.grades)
    store.close()
