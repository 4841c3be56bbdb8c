import json
import subprocess
import sys

from click.testing import CliRunner

from spct.cli import spct
from spct.data.sources import SOURCES

from .rows import pairs, write_jsonl


def recipe(tmp_path, **more):
    path = write_jsonl(tmp_path / "a.jsonl", pairs(40))
    values = {"sources": [{"kind": "items", "path": str(path)}], "out": str(tmp_path / "out")} | more
    (tmp_path / "data.yaml").write_text(json.dumps(values))  # JSON is YAML
    return str(tmp_path / "data.yaml")


def test_build_prints_the_report_and_does_nothing_the_second_time(tmp_path):
    path = recipe(tmp_path)
    done = CliRunner().invoke(spct, ["data", "build", path])
    assert done.exit_code == 0
    assert "| items | 40 | 0 | 0 | 40 | 0 | 40 |" in done.stdout
    assert done.stdout == (tmp_path / "out" / "report.md").read_text()
    again = CliRunner().invoke(spct, ["data", "build", path])
    assert again.stdout == done.stdout
    assert again.stderr == f"{tmp_path / 'out'} is up to date (--rebuild to build it again)\n"
    assert "source items: 40 rows" in CliRunner().invoke(spct, ["data", "build", path, "--rebuild"]).stderr


def test_json_is_the_report_alone_and_out_may_be_named(tmp_path):
    done = CliRunner().invoke(spct, ["data", "build", recipe(tmp_path), "--json", "--out", str(tmp_path / "else")])
    assert json.loads(done.stdout) == json.loads((tmp_path / "else" / "report.json").read_text())


def test_mistakes_are_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, "-c", "from spct.cli import main; main()", "data", "build", recipe(tmp_path, sise=3)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("data.yaml: unknown key 'sise'; did you mean 'size'?\n")
    assert len(done.stderr.splitlines()) == 1


def test_list_names_every_kind():
    done = CliRunner().invoke(spct, ["data", "list", "--json"])
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == list(SOURCES)
    shown = CliRunner().invoke(spct, ["data", "list"]).stdout
    assert "  HelpSteer3-Preference; hub: nvidia/HelpSteer3; licence: CC-BY-4.0\n" in shown


def test_a_full_disk_is_one_line_and_leaves_the_old_files(tmp_path):
    path = recipe(tmp_path)
    CliRunner().invoke(spct, ["data", "build", path])
    before = (tmp_path / "out" / "train.jsonl").read_bytes()
    limited = (  # lifted again in the end, for whoever measures coverage writes it then
        "import resource; from spct.cli import main; limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))\n"
        "try: main()\nfinally: resource.setrlimit(resource.RLIMIT_FSIZE, limits)"
    )
    command = [sys.executable, "-c", limited, "data", "build", path, "--rebuild"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1].startswith("spct: RunError: ")
    assert done.stderr.splitlines()[-1].endswith(": cannot be written: File too large")
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == before
    assert not list((tmp_path / "out").glob(".*"))
    assert not (tmp_path / "out" / "manifest.json").exists()
