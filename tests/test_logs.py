"""What is logged: silent by default, by level, and never a key or a text."""

import json
import logging
import subprocess
import sys

import pytest
from click.testing import CliRunner

from servers.behaviours import choice, completion, fails
from servers.chat import ChatServer, write_reply
from spct import GRM
from spct.cli import spct
from spct.engines.scripted import ScriptedEngine, judgment_text

KEY, SECRET = "sk-a-key-that-nobody-may-see", "a text that nobody may read"
ITEM = {"id": "one", "prompt": SECRET, "responses": ["a", "b"]}


async def judges(call, writer):
    texts = [judgment_text([8, 3]) if call.seed % 2 or j else "no verdict" for j in range(call.n)]
    await write_reply(writer, 200, completion([choice(text, j) for j, text in enumerate(texts)]))


async def test_a_user_sees_what_servers_do_and_never_a_text_or_a_key(caplog, tmp_path):
    caplog.set_level(logging.DEBUG, "spct")
    quoting = f"cannot do this: {SECRET}, {KEY}"
    script = [fails(500, quoting), fails(429, quoting, Retry_After="0.01")]
    async with (
        ChatServer(judges, script) as server,
        GRM("openai:m", base_url=server.base_url, api_key=KEY, k=2, backoff_s=0.001, cache=tmp_path / "cache") as grm,
    ):
        url = server.base_url
        [_ async for _ in grm.ajudge_many([ITEM], out=tmp_path / "run")]
    told = [(record.levelname, record.name.removeprefix("spct."), record.getMessage()) for record in caplog.records]
    for expected in [
        ("INFO", "engines.openai", f"openai:m at {url}, which says it is nothing"),
        ("INFO", "engines.http.dialect", "m: no grammar"),
        ("INFO", "engines.cache_file", f"cache opened in {tmp_path / 'cache'}"),
        ("INFO", "run.opening", f"run {tmp_path / 'run'} is made"),
        ("INFO", "run.runner", "judging by openai:m, up to 64 items side by side"),
        ("WARNING", "engines.http.fleet", f"{url} failed: where there is another, it is left out for 1 s"),
        ("INFO", "engines.http.fleet", f"{url} answers again, and takes requests as before"),
    ]:
        assert expected in told
    assert any(name == "engines.http.client" and "asks to wait for 0.0 s" in text for _, name, text in told)
    assert any(level == "DEBUG" and name == "judges.sampling" and "['no_box']" in text for level, name, text in told)
    assert any(level == "DEBUG" and SECRET in text for level, _, text in told)  # a server's own words
    assert not [text for level, _, text in told if level != "DEBUG" and (SECRET in text or "cannot do" in text)]
    assert not [text for _, _, text in told if KEY in text]


async def test_an_item_without_a_verdict_is_told_by_its_place_and_kind(caplog):
    caplog.set_level(logging.INFO, "spct")
    with GRM(ScriptedEngine(lambda request, j: SECRET), k=1, retries=0) as grm:
        list(grm.judge_many([ITEM]))
    assert "item 0 has no verdict: NoValidJudgment" in caplog.text and SECRET not in caplog.text


def test_nothing_is_printed_until_somebody_listens():
    code = "from spct.logs import logger; logger('spct.x').warning('boo')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ([], set()),
        (["--verbose"], {"info"}),
        (["--log-level", "debug"], {"info", "debug"}),
        (["--log-level", "debug", "--verbose"], {"info", "debug"}),
        (["--verbose", "--log-level", "error"], set()),
    ],
)
def test_the_command_line_logs_on_stderr_from_a_level_up(tmp_path, monkeypatch, quiet_after, options, levels):
    (tmp_path / "items.jsonl").write_text(json.dumps(ITEM))
    (tmp_path / "s.py").write_text(
        "from spct.engines.scripted import judgment_text\ndef say(r, j): return judgment_text([8, 3])"
    )
    monkeypatch.chdir(tmp_path)
    command = ["judge", "items.jsonl", "--model", "scripted:s.py:say", "-k", "1", "--json", "--out", "run"]
    done = CliRunner().invoke(spct, [*command, *options], catch_exceptions=False)
    assert len(done.stdout.splitlines()) == 1
    logged = [words for line in done.stderr.splitlines() if len(words := line.split()) > 2 and words[2].endswith(":")]
    assert {words[1] for words in logged if words[0].count(":") == 2} == levels
    assert SECRET not in done.stderr


def test_the_lines_of_the_service_are_json(capsys):
    from spct.cli.logs import _Lines

    record = logging.LogRecord("spct.engines.x", logging.INFO, "", 0, "left out\n%s", ("now",), None)
    _Lines(as_json=True).emit(record)
    told = json.loads(capsys.readouterr().err)
    assert (told["event"], told["level"], told["logger"]) == ("log", "info", "spct.engines.x")
    assert told["message"] == "left out now"
