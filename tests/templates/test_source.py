"""Template files of the user: blocks, inheritance, and errors that name file and line."""

import re
from pathlib import Path

import pytest

from spct.errors import TemplateError
from spct.templates import load_first, load_template
from spct.types import Item, Message

BOMB = "markers: [&l0 x, " + ", ".join(f"&l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 9)) + "]"
"""Ten million values by aliases: as much text as that if it is put into a message."""

ITEM = Item("a", (Message("user", "x"),), ("one", "two"))


def load(tmp_path, text, name="mine.jinja"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_template(str(path))


def test_messages_of_their_own(tmp_path):
    template = load(
        tmp_path,
        "---\nscale: [0, 5]\n---\n{% set who = 'judge' %}\n"
        '{% message "system" %}You are a {{ who }}.{% endmessage %}\n{% message "user" %}{{ query }}{% endmessage %}\n',
    )
    assert template.scale == (0, 5)
    assert template.name == "mine"
    assert template.render(ITEM, (0, 1)) == (Message("system", "You are a judge."), Message("user", "x"))


def test_a_body_without_messages_is_the_user_message(tmp_path):
    assert load(tmp_path, "  {{ responses[1][1] }}\n\n").render(ITEM, (0, 1)) == (Message("user", "two"),)


def test_a_conversation_as_turns_and_roles_of_the_models_own(tmp_path):
    item = Item("a", (Message("system", "Be brief."), Message("user", "x")), ("one", ""), principles="1. Truth")
    text = (
        "---\nneeds: [principles]\n---\n"
        "{% for role, text in turns %}\n{% message role %}{{ text }}{% endmessage %}\n{% endfor %}\n"
        "{% for number, text in responses %}\n"
        '{% message "response_" ~ number %}{{ text }}{% endmessage %}\n{% endfor %}\n'
        '{% message "principle" %}{{ principles }}{% endmessage %}\n'
    )
    assert load(tmp_path, text).render(item, (1, 0)) == (
        Message("system", "Be brief."),
        Message("user", "x"),
        Message("response_1", ""),
        Message("response_2", "one"),
        Message("principle", "1. Truth"),
    )


def test_examples_and_a_begun_turn_go_around_a_shipped_prompt(tmp_path):
    text = (
        '{% extends "grm.jinja" %}\n'
        '{% block before %}{% message "user" %}2+2? Responses: 4 and 5.{% endmessage %}'
        '{% message "assistant" %}\\boxed{10, 1}{% endmessage %}{% endblock %}\n'
        '{% block after %}{% message "assistant" %}#### Specific Criteria\n{% endmessage %}{% endblock %}\n'
    )
    messages = load(tmp_path, text).render(ITEM, (0, 1))
    assert [message.role for message in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[1].content == "\\boxed{10, 1}"
    assert messages[2] == load_template("grm").render(ITEM, (0, 1))[0]
    assert messages[3].content == "#### Specific Criteria"


@pytest.mark.parametrize("reader", ["box", "index", "{json: {choice: a, labels: [A, B]}}"])
def test_responses_that_are_not_shown_cannot_be_scored(tmp_path, reader):
    with pytest.raises(TemplateError, match="responses is false, and its reader asks for scores of them"):
        load(tmp_path, f"---\nreader: {reader}\nresponses: false\n---\n{{{{ query }}}}")


def test_a_first_step_is_a_file_of_the_same_folder_or_a_shipped_one(tmp_path):
    (tmp_path / "step.jinja").write_text("---\nreader: text\n---\nOf {{ responses | length }}?", encoding="utf-8")
    own = load(tmp_path, "---\nfirst: step.jinja\n---\n{{ query }} {{ first }}")
    assert load_first(own).render(ITEM, (1, 0))[0].content == "Of 2?"
    assert load_first(load(tmp_path, "---\nfirst: answer\n---\n{{ query }} {{ first }}")).name == "answer"
    (tmp_path / "step.jinja").write_text("Score it.", encoding="utf-8")
    with pytest.raises(TemplateError, match="a first step has `reader: text` and needs nothing; got scores"):
        load_first(own)
    for name in ("grm", "focus"):
        with pytest.raises(TemplateError, match="a first step has `reader: text` and needs nothing; got scores"):
            load_first(load(tmp_path, f"---\nfirst: {name}\n---\n{{{{ query }}}} {{{{ first }}}}"))
    (tmp_path / "step.jinja").unlink()
    with pytest.raises(TemplateError, match="no such file"):
        load_first(own)


def test_a_shipped_template_can_be_extended(tmp_path):
    text = '{% extends "grm.jinja" %}{% block scale %}Scale: {{ low }}-{{ high }}. {{ super() }}{% endblock %}'
    content = load(tmp_path, text).render(ITEM, (0, 1))[0].content
    assert "Scale: 1-10. Scores are integers" in content
    assert "reader:" not in content


def test_digest_covers_the_files_it_names(tmp_path):
    (tmp_path / "part.jinja").write_text("one", encoding="utf-8")
    first = load(tmp_path, '{% include "part.jinja" %} {{ query }}')
    (tmp_path / "part.jinja").write_text("two", encoding="utf-8")
    second = load(tmp_path, '{% include "part.jinja" %} {{ query }}')
    assert first.render(ITEM, (0, 1))[0].content == "one x"
    assert second.render(ITEM, (0, 1))[0].content == "two x"
    assert first.digest != second.digest


def test_html_is_not_escaped(tmp_path):
    item = Item("a", (Message("user", "<b>&'\""),), ("{{ 7 * 7 }}", "{% raw %}"))
    text = load(tmp_path, "{{ query }} {{ responses[0][1] }} {{ responses[1][1] }}").render(item, (0, 1))[0].content
    assert text == "<b>&'\" {{ 7 * 7 }} {% raw %}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "---\nreader: box\ncolour: red\n---\nx",
            "line 3: unknown front-matter key 'colour'; expected one of reader, scale",
        ),
        (
            "---\nreader: best\n---\nx",
            "line 2: reader is 'best'; expected one of box, box-each, ",
        ),
        ("---\nkind: scores\n---\nx", "line 2: unknown front-matter key 'kind'; expected one of reader, scale"),
        (
            "---\nscale: [0, 5]\nreader: choice\n---\nx",
            "line 3: reader 'choice' lacks form, labels; it takes form, labels",
        ),
        ("---\nreader: {box: {form: x}}\n---\nx", "line 2: reader 'box' takes no form; it takes no options"),
        ("---\nreader: own.py:Reader\n---\nx", "line 2: reader is 'own.py:Reader'; expected one of box"),
        ("---\ndecimals: 4\n---\nx", "line 2: decimals is 4; expected 0 to 3"),
        ("---\ndecimals: true\n---\nx", "line 2: decimals is True; expected 0 to 3"),
        ("---\nscale: [10, 1]\n---\nx", "line 2: scale is [10, 1]; expected [low, high]"),
        ("---\nscale: [1, 1001]\n---\nx", "line 2: scale is"),
        ("---\nscale: [1.0, 10]\n---\nx", "line 2: scale is"),
        ("---\nscale: 10\n---\nx", "line 2: scale is 10"),
        ("---\nneeds: [tea]\n---\nx", "line 2: needs is ['tea']"),
        ("---\nmarkers: '['\n---\nx", "line 2: markers is '['"),
        ('---\nheadings: {scores: "a\\nb"}\n---\nx', "line 2: headings is"),
        ("---\nreader: [\n---\nx", "front matter is not YAML"),
        ("---\n- a\n---\nx", "line 2: front matter is not a mapping"),
        ("---\nreader: box\nreader: json\n---\nx", "line 3: the key 'reader' is there twice"),
        ("---\nscale: 2024-99-99\n---\nx", "front matter is not YAML: month must be in 1..12"),
        ("---\nscale: &a [*a]\n---\nx", "line 2: an alias stands inside of what it names"),
        (f"---\n{BOMB}\n---\nx", "more than 50,000 keys and values, aliases written out"),
        ("---\nreader: box\n", "line 1: front matter opened by --- and never closed"),
        ("---\nreader: box\n---\na\n{% if %}", "line 5: "),
        ("a\nb {{ nothing }}", "line 2: 'nothing' is undefined"),
        ("---\nreader: box\n---\na\nb {{ nothing }}", "line 5: 'nothing' is undefined"),
        ('{% message "user" %}\n{{ responses[7][1] }}{% endmessage %}', "line 2: "),
        ('{% message "user" %}x{% endmessage %} stray', "text outside the messages: 'stray'"),
        ('{% message "system" %}x{% endmessage %}', "asks nothing"),
        ('{% message "user" %}x{% endmessage %}{% message "assistant" %} {% endmessage %}', "begun with nothing"),
        ('\n{% message "response 1" %}x{% endmessage %}', "line 2: message role is 'response 1'; expected one word"),
        ("{% message 7 %}x{% endmessage %}", "message role is 7"),
        ("{% message %}x{% endmessage %}", "line 1: "),
        ('{% message "user" %}x', "line 1: "),
        ('{% message "user" %}{% message "user" %}x{% endmessage %}{% endmessage %}', "a message inside a message"),
        ("---\nfirst: ../other\n---\nx", "line 2: first is '../other'; expected the name of a shipped template"),
        ("---\nresponses: 3\n---\nx", "line 2: responses is 3; expected true or false"),
        ("---\ngrammar: none\n---\nx", "line 2: grammar is 'none'; expected true or false"),
        ("{{ 1 / 0 }}", "line 1: ZeroDivisionError"),
        ("", "asks nothing"),
        ('{% include "../secret" %}', "names the template file '../secret'"),
        ('{% include "absent.jinja" %}', "names the template file 'absent.jinja'"),
        ("{{ query.__class__.__mro__ }}", "line 1: "),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, said):
    with pytest.raises(TemplateError) as error:
        load(tmp_path, text)
    assert said in str(error.value)
    assert "mine.jinja" in str(error.value)


def test_unknown_name_lists_the_shipped_ones():
    with pytest.raises(TemplateError, match="template 'grn': no such file, and none of the shipped names \\(grm, "):
        load_template("grn")


def test_not_utf8(tmp_path):
    (tmp_path / "mine.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match="cannot be read as UTF-8"):
        load_template(str(tmp_path / "mine.jinja"))


def blocks_of(manual):
    return re.findall(r"```jinja\n(.*?)```", manual, re.DOTALL)


def test_every_example_of_the_manual_can_be_rendered(tmp_path):
    manual = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
    blocks = blocks_of(manual)
    (points,) = [text for text in blocks if "reader: text" in text]
    (tmp_path / "points.jinja").write_text(points, encoding="utf-8")
    roles = []
    for number, text in enumerate(blocks):
        template = load(tmp_path, text, f"block{number}.jinja")
        if template.first:
            assert load_first(template).render(ITEM, (0, 1))[0].content.endswith("Answer 1: one\nAnswer 2: two")
        given = {"first": "the sum"} if template.first else {}
        roles.append([message.role for message in template.render(ITEM, (0, 1), given=given)])
    assert roles == [
        ["system", "user", "response_1", "response_2"],
        ["user", "assistant", "user"],
        ["user", "assistant"],
        ["user"],
        ["user"],
        ["user"],
    ]


def test_the_example_of_the_manual_works(tmp_path):
    manual = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
    card, *_ = [text for text in blocks_of(manual) if "[The Begin of Response {i}]" in text]
    template = load(tmp_path, card)
    content = template.render(ITEM, (1, 0))[0].content
    assert "[The Begin of Response 1]\ntwo\n[The End of Response 1]\n[The Begin of Response 2]\none\n" in content
    assert template.parse("Scores: \\boxed{8, 7}", 2).scores == (8, 7)
