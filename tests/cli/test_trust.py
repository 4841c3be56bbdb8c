"""What a project's file may not say: where keys go, what is run, who is let in. Until it is trusted."""

import pytest

from cli.test_defaults import folder, own, run  # noqa: F401 - a fixture
from spct.errors import InputError

ITEMS = ("judge", "items.jsonl", "-k", "1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('base-url = "http://evil.example/v1"', "where requests go"),
        ('base_url = ["evil.example/v1"]', "where requests go"),
        ('[judge]\nbase-url = "evil.example/v1"', "where requests go"),
        ('engine-option = ["base_url=evil.example"]', "where requests go"),
        ('engine-option = ["base-url=evil.example"]', "where requests go"),
        ('meta = "llm:openai:m"\nmeta-option = ["base_url=evil.example"]', "where requests go"),
        ('judge-option = ["x=https://evil.example"]', "where requests go"),
        ('jury = "jury.yaml"', "names a file of judges"),
        ('model = "scripted:script.py:judge"', "names code to run"),
        ('model = "script.py:Engine:m"', "names code to run"),
        ('model = "script:Engine:m"', "names code to run"),
        ('judge = "script:Judge"', "names code to run"),
        ('meta = "script:Meta:x"', "names code to run"),
        ('meta = "llm:scripted:script.py:judge"', "names code to run"),
        ('meta = "llm:script:Engine:m"', "names code to run"),
        ('escalate = "script:Engine:m"', "names code to run"),
        ('[profiles.p.judge]\nbase-url = "http://evil.example/v1"', "where requests go"),
    ],
)
def test_a_project_file_is_refused_what_sends_keys_or_runs_code(folder, text, reason):  # noqa: F811
    (folder / "spct.toml").write_text(f"{text}\n")
    profile = ("--profile", "p") if "profiles" in text else ()
    model = () if text.startswith("model") else ("--model", "openai:m")
    with pytest.raises(InputError, match=f"is refused: .*{reason}.*spct config trust"):
        run(*profile, *ITEMS, *model)
    (row,) = {" ".join(row.split()[2:]) for row in run(*profile, "config").splitlines() if "REFUSED" in row}
    assert reason in row


@pytest.mark.parametrize("text", ['host = "0.0.0.0"', "insecure-no-key = true", 'keys = "keys.txt"'])
def test_a_project_file_lets_nobody_in(folder, text):  # noqa: F811
    (folder / "spct.toml").write_text(f"[serve]\n{text}\n")
    with pytest.raises(InputError, match="is refused: it lets others in"):
        run("serve", "--model", "openai:m", "--port", "0")


def test_a_project_file_names_no_judges_to_serve(folder):  # noqa: F811
    (folder / "spct.toml").write_text('[serve]\nconfig = "judges.toml"\n')
    with pytest.raises(InputError, match="is refused: it names a file of judges"):
        run("serve", "--port", "0")


@pytest.mark.parametrize("to", ["/etc/verdicts.csv", "../verdicts.csv", "below/../../verdicts.csv"])
def test_a_project_file_writes_nothing_outside(folder, to):  # noqa: F811
    (folder / "spct.toml").write_text(f'[export]\nto = "{to}"\n')
    with pytest.raises(InputError, match="is refused: it writes outside"):
        run("export", "run")
    (folder / "spct.toml").write_text('[export]\nto = "below/verdicts.csv"\n')
    assert "REFUSED" not in run("config")


def test_what_is_typed_or_in_the_environment_goes_before_a_refused_value(folder):  # noqa: F811
    (folder / "spct.toml").write_text('model = "scripted:script.py:judge"\n')
    assert "1 verdict" in run(*ITEMS, "--model", "scripted:script.py:judge")
    assert "1 verdict" in run(*ITEMS, SPCT_JUDGE_MODEL="scripted:script.py:judge")


@pytest.mark.parametrize("name", ["spct.toml", "pyproject.toml"])
def test_a_file_is_trusted_as_long_as_it_says_the_same(folder, name):  # noqa: F811
    head = "[tool.spct]\n" if name == "pyproject.toml" else ""
    file = folder / name
    file.write_text(f'{head}model = "scripted:script.py:judge"\n')
    assert run("config", "trust") == f"trusted, as long as it says the same: {file}\n"
    assert "1 verdict" in run(*ITEMS)
    assert "REFUSED" not in run("config")
    file.write_text(f'# said otherwise\n{head}model = "scripted:script.py:judge"\n')
    assert "1 verdict" in run(*ITEMS)
    file.write_text(f'{head}model = "scripted:./script.py:judge"\n')
    with pytest.raises(InputError, match="is refused"):
        run(*ITEMS)


def test_trust_is_for_one_place_and_own_files_need_none(folder):  # noqa: F811
    own(folder, 'model = "scripted:script.py:judge"\n')
    assert "1 verdict" in run(*ITEMS)
    with pytest.raises(InputError, match="no spct.toml"):
        run("config", "trust")
    (folder / "spct.toml").write_text('model = "scripted:script.py:judge"\n')
    run("config", "trust")
    (folder / "below" / "spct.toml").write_text('model = "scripted:script.py:judge"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "below")
        with pytest.raises(InputError, match="is refused"):
            run("judge", "../items.jsonl")


def test_harmless_values_need_no_trust(folder):  # noqa: F811
    (folder / "spct.toml").write_text(
        'model = "openai:m"\njudge = "llm-judge"\nmeta = "llm:gemini:m"\nengine-option = ["n_per_request=1"]\n'
        'map = ["prompt=Frage: *"]\nrubric = "rubric.yaml"\ntemplate = "mine.jinja"\n[serve]\nport = 9000\n'
        '[train.sft]\nmodel = "smollm2-135m"\n[train.rl]\nmodel = "hf:owner/repo/file.gguf"\ntoo_easy = "embedded:smollm2-135m"\n'
    )
    assert "REFUSED" not in run("config")
