import io
import os
import threading

import pytest
from rich.console import Console

from spct.cli.progress import RunProgress, write_line
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.prices import Prices
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


def outcome(position, replayed=0, k=2):
    item = Item(f"q{position}", (Message("user", "x"),), ("a", "b"))
    return Outcome(position, item, decide([judgment(i) for i in range(k)], id=item.id, n=2, k=k), replayed)


def make(total, clock=None, **more):
    """A display without a terminal, and what it writes to stderr and to stdout."""
    stream, out = io.StringIO(), io.StringIO()
    given = {"interval_s": 0, "tick_s": NEVER_S, "clock": clock or Clock(), **more}
    return RunProgress(total, console=Console(file=stream), out=out, **given), stream, out


def on_terminal(total, width=100, out=None, **more):
    """A display on a terminal without colours, and what that gets."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, no_color=True, _environ={"TERM": "xterm"})
    progress = RunProgress(total, console=console, out=out or screen, tick_s=NEVER_S, **{"clock": Clock(), **more})
    return progress, screen


def shown(screen):
    """The terminal's lines, as far as carriage returns, cursor-ups and erased lines make them."""
    lines, row = [""], 0
    text = screen.getvalue().replace("\x1b[?25l", "").replace("\x1b[?25h", "")
    while text:
        if text.startswith("\x1b[2K"):
            lines[row], text = "", text[4:]
        elif text.startswith("\x1b[1A"):
            row, text = row - 1, text[4:]
        elif text[0] == "\r":
            text = text[1:]
        elif text[0] == "\n":
            row, text = row + 1, text[1:]
            lines += [""] * (row == len(lines))
        else:
            lines[row], text = lines[row] + text[0], text[1:]
    return lines


def sample(progress, clock, seconds, tokens=50, invalid=0):
    """Two samples a second for so many seconds, the last ``invalid`` of them without scores."""
    for second in range(seconds):
        clock.now += 1
        progress.on_request(
            [judgment(0), judgment(1, valid=second < seconds - invalid)], Usage(100, tokens, requests=1)
        )
        progress.tick()


def test_plain_lines_where_there_is_no_terminal():
    clock = Clock()
    progress, stream, out = make(10, clock, k=2, prices=Prices(1.0, 2.0))
    with progress:
        sample(progress, clock, 4, invalid=1)
        for i in range(3):
            progress.on_item(outcome(i))
        progress.print("a verdict")
        clock.now += 1
        progress.tick()
        for i in range(3, 10):
            progress.on_item(outcome(i))
    assert out.getvalue() == "a verdict\n"
    assert stream.getvalue().splitlines() == [
        "judging 10 items",
        "0/10 items, 2 samples, 0.0% invalid, cost 0.0002",
        "0/10 items, 4 samples, 0.0% invalid, cost 0.0004",
        "0/10 items, 6 samples, 0.0% invalid, cost 0.0006, 50 tokens/s, about 7 s left",
        "0/10 items, 8 samples, 12.5% invalid, cost 0.0008, 50 tokens/s, about 6 s left",
        "3/10 items, 8 samples, 12.5% invalid, cost 0.0008, 40 tokens/s, about 8 s left",
        "done: 10/10 items, 8 samples, 12.5% invalid, cost 0.0008, 40 tokens/s, 5 s",
    ]


def test_plain_lines_are_so_many_seconds_apart():
    clock = Clock()
    progress, stream, _ = make(10, clock, interval_s=10)
    with progress:
        sample(progress, clock, 35)
    counted = [line.split(", ")[1] for line in stream.getvalue().splitlines()[1:]]
    assert counted == ["20 samples", "40 samples", "60 samples", "70 samples"]


def test_time_left_is_that_of_the_samples_and_not_of_the_items_done():
    """128 items side by side: after 60 s each has 15 of its 16 samples, and the first is done just now."""
    clock = Clock()
    progress, stream, _ = make(128, clock, k=16)
    with progress:
        for _ in range(60):
            clock.now += 1
            progress.on_request([judgment(i) for i in range(32)], Usage(0, 320, requests=1))
            progress.tick()
        progress.on_item(outcome(0, k=16))
        progress.tick()
    assert stream.getvalue().splitlines()[-2].endswith(", 320 tokens/s, about 4 s left")


def test_without_a_fixed_k_time_left_is_that_of_the_items_done_and_says_so():
    clock = Clock()
    progress, stream, _ = make(10, clock)
    with progress:
        sample(progress, clock, 5)
        progress.on_item(outcome(0, k=3))
        progress.on_item(outcome(1, k=5))
        progress.tick()
    *_, before, after, done = stream.getvalue().splitlines()
    assert before.endswith(", 50 tokens/s")
    assert after.endswith(", 50 tokens/s, about 16 s left, by items done")
    assert done.endswith(", 50 tokens/s, 5 s")


def test_replayed_judgments_do_not_speed_up_the_rate():
    clock = Clock()
    progress, stream, _ = make(100, clock, k=2)
    with progress:
        for second in range(20):
            clock.now += 1
            progress.on_item(outcome(second, replayed=2))
            progress.tick()
        sample(progress, clock, 5)
        progress.on_item(outcome(20, replayed=1))
        progress.tick()
    *_, last, done = stream.getvalue().splitlines()
    assert last == "21/100 items, 10 samples, 0.0% invalid, 41 from before, 50 tokens/s, about 1 min 14 s left"
    assert done.startswith("done: 21/100 items")


def test_a_rate_is_never_0_and_without_tokens_it_is_one_of_samples():
    clock = Clock()
    progress, stream, _ = make(None, clock)
    with progress:
        for _ in range(10):
            clock.now += 200
            progress.on_request([judgment(0)], Usage(10, 0, requests=1))
            progress.tick()
        progress.on_request([judgment(0)], Usage(10, 40, requests=1))
        progress.tick()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "judging items"
    assert lines[-3:] == [
        "0 items, 10 samples, 0.0% invalid, 0.005 samples/s",
        "0 items, 11 samples, 0.0% invalid, 0.02 tokens/s",
        "done: 0 items, 11 samples, 0.0% invalid, 0.02 tokens/s, 33 min 20 s",
    ]


def test_a_run_of_no_time_has_no_rate():
    clock = Clock()
    progress, stream, _ = make(1, clock)
    with progress:
        clock.now += 0.5
        progress.on_request([judgment(0), judgment(1)], Usage(10, 8_416_546, requests=1))
        progress.on_item(outcome(0))
        progress.tick()
    assert stream.getvalue().splitlines()[1:] == [
        "1/1 items, 2 samples, 0.0% invalid",
        "done: 1/1 items, 2 samples, 0.0% invalid, 0.5 s",
    ]


def test_a_run_that_stops_says_so():
    progress, stream, _ = make(3)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines() == ["judging 3 items", "stopped: 0/3 items, 0 samples, 0.0 s"]


def test_totals():
    clock = Clock()
    progress, _, _ = make(2, clock, prices=Prices(None, 10.0))
    with progress:
        progress.on_request([judgment(0)], Usage(10, 20, 5, 1))
        progress.on_item(outcome(0, replayed=1))
        clock.now += 3
    clock.now += 100
    totals = progress.totals
    assert (totals.planned, totals.items, totals.verdicts, totals.judgments, totals.replayed) == (2, 1, 1, 2, 1)
    assert (totals.usage, totals.seconds, totals.prices) == (Usage(10, 20, 5, 1), 3.0, Prices(None, 10.0))
    assert not totals.no_verdict


class Waited(io.StringIO):
    """A stream that says when a third line has been written."""

    def __init__(self):
        super().__init__()
        self.third = threading.Event()

    def write(self, text):
        written = super().write(text)
        if self.getvalue().count("\n") >= 3:
            self.third.set()
        return written


def test_the_timer_writes_lines_by_itself():
    stream = Waited()
    progress = RunProgress(1, console=Console(file=stream), out=io.StringIO(), interval_s=0, tick_s=0.001)
    with progress:
        assert stream.third.wait(60)
    assert stream.getvalue().splitlines()[1] == "0/1 items, 0 samples"


class Gone(Waited):
    """A stream whose reader has gone after its first line."""

    def write(self, text):
        if self.getvalue():
            self.third.set()
            raise BrokenPipeError
        return super().write(text)


def test_a_stderr_that_is_gone_does_not_hurt_the_run():
    stream = Gone()
    progress = RunProgress(1, console=Console(file=stream), out=io.StringIO(), interval_s=0, tick_s=0.001)
    with progress:
        assert stream.third.wait(60)
        progress.on_item(outcome(0))
    assert progress.totals.items == 1


def test_a_terminal_has_one_live_line_that_makes_room():
    clock = Clock()
    progress, screen = on_terminal(10, k=2, clock=clock)
    progress.tick()
    assert shown(screen) == [" " * 41 + "0/10 items  0 samples"]
    sample(progress, clock, 5, invalid=1)
    progress.on_item(outcome(0))
    progress.on_item(outcome(1))
    progress.tick()
    live = "━" * 16 + " " * 16 + " 2/10 items  10 samples  10.0% invalid  50 tokens/s  about 5 s left"
    assert shown(screen) == [live]
    progress.print("q0 is judged")
    progress.print("q1 is judged")
    assert shown(screen) == ["q0 is judged", "q1 is judged", ""]
    progress.tick()
    assert shown(screen) == ["q0 is judged", "q1 is judged", live]


@pytest.mark.parametrize(
    ("width", "live"),
    [
        (120, "━" * 20 + " " * 20 + " 2/10 items  10 samples  0.0% invalid  cost 0.0010  50 tokens/s  about 5 s left"),
        (80, "━" * 4 + " " * 4 + " 2/10 items  10 samples  0.0% invalid  50 tokens/s  about 5 s left"),
        (60, "━" * 8 + " " * 8 + " 2/10 items  50 tokens/s  about 5 s left"),
        (40, "━" * 4 + " " * 4 + " 2/10 items  about 5 s left"),
        (30, "2/10 items  about 5 s left"),
        (20, "2/10 items  about…"),
    ],
)
def test_a_narrow_terminal_keeps_what_is_done_and_what_is_left(width, live):
    clock = Clock()
    progress, screen = on_terminal(10, width, k=2, clock=clock, prices=Prices(2.0))
    sample(progress, clock, 5)
    progress.on_item(outcome(0))
    progress.on_item(outcome(1))
    progress.tick()
    assert shown(screen) == [live]


def test_the_live_line_is_gone_at_the_end_and_the_cursor_is_not():
    progress, screen = on_terminal(1, out=io.StringIO())
    with progress:
        progress.tick()
        assert screen.getvalue().rindex("\x1b[?25h") > screen.getvalue().rindex("\x1b[?25l")
    assert shown(screen) == ["done: 0/1 items, 0 samples, 0.0 s", ""]
    assert screen.getvalue().rindex("\x1b[?25h") > screen.getvalue().rindex("\x1b[?25l")


def test_a_run_that_is_stopped_leaves_the_terminal_clean():
    progress, screen = on_terminal(1)
    with pytest.raises(KeyboardInterrupt), progress:
        progress.tick()
        progress.print("q0 is judged")
        progress.tick()
        raise KeyboardInterrupt
    assert shown(screen) == ["q0 is judged", "stopped: 0/1 items, 0 samples, 0.0 s", ""]


def test_a_terminal_without_movements_gets_plain_lines():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, _environ={"TERM": "dumb"})
    with RunProgress(1, console=console, out=io.StringIO(), tick_s=NEVER_S, clock=Clock()):
        pass
    assert stream.getvalue() == "judging 1 item\ndone: 0/1 items, 0 samples, 0.0 s\n"


def test_a_program_that_reads_stdout_gets_no_live_line_in_its_way():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        progress, screen = on_terminal(1, out=out)
        with progress:
            progress.print("q0 is judged")
            progress.tick()
    with os.fdopen(reading) as read:
        assert read.read() == "q0 is judged\n"
    assert screen.getvalue() == "judging 1 item\ndone: 0/1 items, 0 samples, 0.0 s\n"


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
