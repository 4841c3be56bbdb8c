import pytest

from spct.view.markup import MOST_MARKDOWN, difference, markdown, raw, tinted


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** `b`", "<p><strong>a</strong> <code>b</code></p>\n"),
        ("# Heading", '<p class="h">Heading</p>\n'),
        ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>\n"),
        ("[a](javascript:x) ![b](http://e.test/)", "<p>[a](javascript:x) ![b](http://e.test/)</p>\n"),
        ("<http://e.test> http://e.test", "<p>&lt;http://e.test&gt; http://e.test</p>\n"),
        ("a\u202eb\x1b", "<p>a\\u202eb\\x1b</p>\n"),
        ("costs $5 and $6", "<p>costs $5 and $6</p>\n"),
        ("$x^2$", '<p><math display="inline"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math></p>\n'),
        ("\\(y\\)", '<p><math display="inline"><mrow><mi>y</mi></mrow></math></p>\n'),
    ],
)
def test_markdown_of_anybody_is_shown_and_never_live(text, html):
    assert markdown(text) == html


@pytest.mark.parametrize(
    "text",
    [
        "$\\text{<img src=x onerror=alert(1)>}$",
        "$\\href{javascript:alert(1)}{x}$",
        "$$\\style{position:fixed}{x}$$",
        "| a |\n|---|\n| <a href=x onclick=y>z</a> |",
        "```\n</code></pre><script>x</script>\n```",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        '"onmouseover="alert(1)',
    ],
)
def test_nothing_gets_through_but_the_tags_of_the_list(text):
    html = str(markdown(text))
    for live in ("<script", "<img", "<a ", "<style", "style=", "<svg", "<iframe"):
        assert live not in html
    assert "onerror" not in html.replace("&lt;img src=x onerror=alert(1)&gt;", "")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("$\\text{a <b>c</b>}$", "<p><code>$\\text{a &lt;b&gt;c&lt;/b&gt;}$</code></p>\n"),
        ("$\\mbox{<!-- c -->}$", "<p><code>$\\mbox{&lt;!-- c --&gt;}$</code></p>\n"),
        ("$\\text{&lt;b&gt;}$", "<p><code>$\\text{&amp;lt;b&amp;gt;}$</code></p>\n"),
        ("$\\text{&shy;a}$", "<p><code>$\\text{&amp;shy;a}$</code></p>\n"),
        ("$\\unicode{x202e}$", "<p><code>$\\unicode{x202e}$</code></p>\n"),
        ("$\\phantom{a}$", '<p><math display="inline"><mrow><mrow><mi>a</mi></mrow></mrow></math></p>\n'),
        ("$a<b$", '<p><math display="inline"><mrow><mi>a</mi><mo>&lt;</mo><mi>b</mi></mrow></math></p>\n'),
    ],
)
def test_a_formula_hides_nothing_that_a_judge_read(text, seen):
    assert markdown(text) == seen


def test_a_long_text_and_one_of_brackets_alone_are_shown():
    assert markdown("x" * (MOST_MARKDOWN + 1)).startswith('<pre class="raw">xxx')
    assert "[[[[" in markdown("[" * 50_000)


def test_raw_keeps_lines_and_shows_what_is_hidden():
    assert raw("a\r\nb\u200b<") == '<pre class="raw">a\nb\\u200b&lt;</pre>'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Response 2 wins", [("Response 2", "A")]),
        ("responses 1, and **Response 2**", [("responses 1", "B"), ("Response 2", "A")]),
        ("Output (a) over Output (b).", [("Output (a)", "B"), ("Output (b)", "A")]),
        ("Assistant A", [("Assistant A", "B")]),
        ("Response 3, Response 10, answers 1.5 or 2%, an answer", []),
    ],
)
def test_what_is_said_of_a_response_is_named_as_it(text, named):
    html = str(tinted(markdown(text), [(1,), (0,)]))
    assert [tuple(part.split("<b> = ")) for part in (p.split("</b>")[0] for p in html.split('">')[1:])] == named


def test_equal_responses_are_named_together():
    assert tinted(raw("Response 1"), [(0, 2)]) == (
        '<pre class="raw"><mark class="r r0">Response 1<b> = A and C</b></mark></pre>'
    )


def test_a_difference_marks_words():
    assert difference("a b <c>", "a x <c>") == ("a <del>b</del> &lt;c&gt;", "a <ins>x</ins> &lt;c&gt;")


def test_a_difference_of_long_texts_is_one_of_lines():
    one, other = difference("a b\n" * 5000 + "end", "a b\n" * 5000 + "END")
    assert (one.endswith("a b\n<del>end</del>"), other.endswith("a b\n<ins>END</ins>")) == (True, True)


def test_a_difference_of_long_texts_hides_nothing():
    one, other = difference("a b\n" * 5000 + "x\u202ey", "a b\n" * 60_000)
    assert one.endswith("<del>x\\u202ey</del>")
    assert "[40,000 more characters are not compared]" in other
