import io
import os
import struct
import termios
from fcntl import ioctl

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from spct.harmless import line, lines
from spct.views.surface import PLAIN, Surface, cut, indented, labelled


def test_line_shows_what_a_terminal_would_obey():
    assert line("a\x1b[2Jb\x07\x9b31m\x7f") == "a\\x1b[2Jb\\x07\\x9b31m\\x7f"
    assert line("left\u202eright\u2066\ufeff\U000e0041") == "left\\u202eright\\u2066\\ufeff\\U000e0041"
    assert line("one\r\ntwo\nthree\rfour\u2028five\tsix") == "one two three four five six"


def test_line_leaves_every_script_alone():
    for text in ("žluťoučký kůň", "日本語", "한국어", "مرحبا", "👩\u200d👩\u200d👧", "क्\u200dष", "x² ≤ ½"):
        assert line(text) == text


def test_lines_keep_their_ends_and_expand_tabs():
    assert lines("a\tb\r\n\r\nc\x1b[1A") == ["a   b", "", "c\\x1b[1A"]


@given(st.text())
def test_no_text_can_steer_a_terminal(text):
    shown = line(text) + "".join(lines(text))
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 or 0xD800 <= ord(char) < 0xE000 for char in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\u200e\u200f")


@given(st.text(), st.integers(0, 30))
def test_cut_never_exceeds_its_width(text, width):
    assert cell_len(cut(line(text), width)) <= width


def test_cut_marks_what_is_missing():
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"
    assert cut("日本語日本", 6) == "日本…"


def test_what_is_no_terminal_gets_no_colour_and_no_wrapping():
    surface = Surface.of(io.StringIO())
    assert surface == PLAIN == Surface(width=100, colour=False, terminal=False)
    assert surface.paint("text", "bold red") == "text"
    assert indented("word " * 60, surface, 2) == ["  " + ("word " * 60).rstrip()]


def test_a_terminal_gives_its_width_and_colour(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    master, slave = os.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 72, 0, 0))
    with os.fdopen(slave, "w") as stream:
        assert Surface.of(stream) == Surface(width=72, colour=True, terminal=True)
        monkeypatch.setenv("NO_COLOR", "1")
        assert Surface.of(stream) == Surface(width=72, colour=False, terminal=True)
    os.close(master)


def test_colour_wraps_exactly_the_text():
    assert Surface(colour=True).paint("x", "green") == "\x1b[32mx\x1b[0m"
    assert Surface(colour=True).paint("", "green") == ""


def test_a_terminal_wraps_at_words_under_the_margin():
    narrow = Surface(width=30, terminal=True)
    assert indented("one two three four five six seven\n\n  deep", narrow, 4) == [
        "    one two three four five",
        "    six seven",
        "",
        "      deep",
    ]


def test_a_label_stands_beside_the_first_line_of_its_text():
    narrow = Surface(width=30, terminal=True)
    assert labelled("scores", "one two three four", narrow, margin=2) == ["  scores    one two three four"]
    assert labelled("scores", "one two three four five", narrow) == [
        "scores      one two three four",
        " " * 12 + "five",
    ]
    assert labelled("scores", "word " * 40, PLAIN) == ["scores      " + ("word " * 40).rstrip()]
    assert labelled("x", "y", Surface(colour=True), "red") == ["\x1b[31mx           \x1b[0my"]
