import asyncio
import json
import re
import shutil
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from spct.run.criteria_labels import rubric_of_questions
from spct.run.labels import labels_of
from spct.serve.auth import Keys, new_key
from spct.types import Item
from spct.view.app import ROUTES, STATIC, create_app
from spct.view.export import export_run
from spct.view.guard import HEADERS
from spct.view.label_form import shuffled
from spct.view.library import Library
from spct.view.pages.page import Viewer
from view.runs import ITEMS, make_run


def client(folder, tmp_path, keys=None, **options):
    app = create_app(Viewer(Library([folder], tmp_path / "cache"), **options), keys=keys)
    return TestClient(app, base_url="http://127.0.0.1:8765")


@pytest.fixture(scope="module")
def shared(runs, tmp_path_factory):
    with client(runs, tmp_path_factory.mktemp("shared")) as found:
        yield found


PAGES = {
    "/": ["<h1>Runs</h1>", ">small</a>", ">deep~other</a>", "42.9%", ">train~rl</a>", "not finished", "train~torn"],
    "/training/train~rl": ["<strong>reward</strong>", "<strong>eval_accuracy</strong>", "0.75", "1e-06"],
    "/training/all~rl-0000000b": ["some are kept of 2 steps, 1 to 3"],
    "/training/all~rl-0000000b/rollouts?step=3": [
        "Reward +1",
        "A, the best, alone",
        "&lt;b&gt;nothing",
        "← step 1",
        "Judge.",
    ],
    "/pipeline/all": ["1 of 3 jobs done", "items 7", "not begun", "<td>data</td>", "/training/all~rl-0000000b"],
    "/bench/bench": ["<h2>By k</h2>", "Accuracy over k, a tie counts as wrong", "a tie earns 1/#tied"],
    "/?q=OTHER": ["1 of 2 runs", ">deep~other</a>"],
    "/run/small/": ["7 items", "/run/small/item/6?"],
    "/run/small/?show=wrong&against=deep~other": ["1 item", ">river</a>"],
    "/run/deep~other/?q=vienna": ["1 item", "✓ right"],
    "/run/small/item/2?show=wrong": ["1 of 2", 'id="next" rel="next" href="/run/small/item/6?show=wrong"', "✗ wrong"],
    "/run/small/item/0?diff=A-C": ["<del>", "<ins>13</ins>"],
    "/run/small/item/0?raw=1": ["12, since it has **few** divisors."],
    "/run/small/item/0": ["12, since it has <strong>few</strong> divisors.", "the item says that response A is best"],
    "/run/small/item/4": ["No verdict.", "invalid: truncated: the completion was cut off"],
    "/run/small/item/6": ["Cut here; it has 1,000,000 characters."],
    "/run/small/item/0/judgment/0.0.0": [
        "Prompt, user",
        "Name a prime above 10.",
        "Let me see.",
        "Completion, as it came",
    ],
    "/run/small/across": ["Accuracy over k", "Use of scores", "Right by confidence", "<h2>Audit</h2>", "Brevity"],
    "/run/small/labels": ["Nobody has labelled", "--label NAME"],
    "/compare?a=small&b=deep~other": ["Right in B alone", "side by side"],
    "/beside?a=small&b=deep~other&at=2&other=2": ["✗ wrong", "✓ right"],
}


@pytest.mark.parametrize("address", PAGES)
def test_pages_hold_what_they_are_for(shared, address):
    answer = shared.get(address)
    assert answer.status_code == 200
    assert [text for text in PAGES[address] if text not in answer.text] == []
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/nowhere", 404, "There is no page /nowhere."),
        ("/run/nowhere/", 404, "there is no run &#39;nowhere&#39; here"),
        ("/run/small/item/7", 400, "the run has no item at place 7"),
        ("/run/small/item/0/judgment/9.0.0", 400, "item 0 has no judgment 9.0.0"),
        ("/run/small/item/0/text/response-3", 400, "item 0 has no text response-3"),
        ("/run/small/item/0?diff=A-D", 400, "diff=A-D: expected two of A, B, C"),
        ("/run/small/?show=worng", 400, "got &#39;worng&#39;; expected some of correct"),
        ("/run/small/?against=x", 400, "against=x: there is no such run here"),
        ("/?sort=colour", 400, "sort=colour: expected one of started, name"),
        ("/compare?a=small&b=small", 400, "got small twice"),
        ("/run/small/label", 400, "this viewer keeps no labels"),
        ("/training/nowhere", 404, "there is no training folder &#39;nowhere&#39; here"),
        ("/training/train~torn", 404, "stage.json cannot be read"),
        ("/training/train~rl/rollouts?step=1", 404, "no rollouts of step 1 are kept here"),
        ("/training/train~rl/rollouts?step=x", 400, "step=x: expected the number of a step"),
        ("/pipeline/train~rl", 404, "there is no pipeline"),
        ("/bench/x", 404, "there is no report of spct bench"),
        ("/static/..%2fapp.py", 404, "There is no page"),
    ],
)
def test_errors_are_pages_that_say_what_is_wrong(shared, address, status, said):
    answer = shared.get(address, follow_redirects=False)
    assert (answer.status_code, said in answer.text) == (status, True)


def test_every_route_is_looked_at(shared):
    tested = {*PAGES, "/run/small/label", "/run/small/label/0", "/run/small/item/0/text/response-0"}
    paths = [address.partition("?")[0] for address in tested]
    assert [route.path for route in ROUTES if not any(route.path_regex.match(path) for path in paths)] == []


def test_whole_texts_are_plain_text(shared):
    answer = shared.get("/run/small/item/5/text/response-0")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("<script>")
    assert len(shared.get("/run/small/item/6/text/response-0").text) == 1_000_000
    assert "Specific Criteria:" in shared.get("/run/small/item/0/text/completion-0.0.0").text
    assert shared.get("/run/small/item/0/text/message-1").text == "Name a prime above 10."


def test_the_files_of_the_package_are_there(shared):
    assert [shared.get(f"/static/{name}").status_code for name in STATIC] == [200] * len(STATIC)


def test_every_file_that_a_page_names_is_served(shared):
    text = shared.get("/run/small/across").text
    named = {part.split('"')[0] for part in text.split('"/static/')[1:]}
    assert named == set(STATIC)


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test:8765", "", "127.0.0.1:8765@evil.test"])
def test_another_sites_name_is_refused(shared, host):
    assert shared.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8765", "localhost"])
def test_names_of_this_machine_are_taken(shared, host):
    assert shared.get("/static/view.css", headers={"host": host}).status_code == 200


def test_a_key_is_asked_for_and_may_come_as_a_password(runs, tmp_path):
    key, line = new_key("ann")
    name, digest = line.split()
    asking = client(runs, tmp_path, Keys(((name, bytes.fromhex(digest)),)))
    assert asking.get("/static/view.css").status_code == 401
    assert asking.get("/static/view.css").headers["www-authenticate"].startswith("Basic realm=")
    assert asking.get("/static/view.css", auth=("anyone", "wrong")).status_code == 401
    assert asking.get("/static/view.css", auth=("anyone", key)).status_code == 200
    assert asking.get("/static/view.css", headers={"authorization": f"Bearer {key}"}).status_code == 200
    assert asking.get("/static/view.css", headers={"authorization": "Basic %%%"}).status_code == 401


def test_labels_are_saved_and_the_judge_is_shown_after(own_runs, tmp_path):
    ann = client(own_runs, tmp_path, labeller="ann")
    page = ann.get("/run/small/label")
    assert page.url.path == "/run/small/label/0"
    assert [word for word in ("voted best", "known to be best", "confidence", "boxed") if word in page.text] == []
    saved = ann.post("/run/small/label/0", data={"best": "1", "note": "a<b"})
    assert saved.url.path == "/run/small/label/1"
    assert dict(labels_of(own_runs / "small")[0]["ann"].entry) == {"best": shuffled("ann", ITEMS[0])[0]}
    assert "Saved: you said" in saved.text and "The judge chose" in saved.text
    again = ann.get("/run/small/label/0").text
    assert 'value="a&lt;b"' in again
    skipped = ann.post("/run/small/label/1", data={"do": "skip"})
    assert "Skipped" in skipped.text
    assert "ann says: response" in ann.get("/run/small/item/0").text
    assert "ann says: skipped" in ann.get("/run/small/item/1").text
    overview = ann.get("/run/small/labels").text
    assert '<th scope="row">ann</th><td class="num">1</td><td class="num">1</td>' in overview
    assert "1 item with one best response" in overview


def test_a_form_without_a_choice_comes_back_with_what_was_written(own_runs, tmp_path):
    answer = client(own_runs, tmp_path, labeller="ann").post("/run/small/label/0", data={"note": "keep me"})
    assert answer.status_code == 400
    assert "nothing is chosen; expected one of 1, 2, 3, or skip the item" in answer.text
    assert 'value="keep me"' in answer.text


@pytest.mark.parametrize(
    ("task", "data", "entry"),
    [
        ("criteria", {}, None),
        ("best", {"best": "tie"}, {"label": "tie"}),
        ("rank", {"ranking": "2=1"}, {"ranking": [[0, 1]]}),
        ("rank", {"ranking": "1, 1"}, None),
        ("rank", {"ranking": "1"}, None),
        ("score", {"score.1": "7", "score.2": "7.5"}, {"rewards": [7.0, 7.5]}),
        ("score", {"score.1": "7", "score.2": "11"}, None),
        ("score", {"score.1": "nan", "score.2": "1"}, None),
    ],
)
def test_what_is_asked_becomes_a_label(own_runs, tmp_path, task, data, entry):
    answer = client(own_runs, tmp_path, labeller="ann", task=task).post("/run/small/label/1", data=data)
    assert answer.status_code == (400 if entry is None else 200)
    found = [dict(given["ann"].entry) for given in labels_of(own_runs / "small").values()]
    if entry is not None and "rewards" in entry and shuffled("ann", ITEMS[1]) == [1, 0]:
        entry = {"rewards": entry["rewards"][::-1]}
    if entry is not None and "ranking" in entry:
        entry, found = {"ranking": [{0, 1}]}, [{"ranking": [set(group) for group in found[0]["ranking"]]}]
    assert found == ([] if entry is None else [entry])


def test_a_form_of_another_site_and_a_huge_one_are_refused(own_runs, tmp_path):
    ann = client(own_runs, tmp_path, labeller="ann")
    foreign = ann.post("/run/small/label/0", data={"best": "1"}, headers={"origin": "http://evil.test"})
    assert foreign.status_code == 403
    own = ann.post("/run/small/label/0", data={"best": "1"}, headers={"origin": "http://127.0.0.1:8765"})
    assert own.status_code == 200
    assert ann.post("/run/small/label/0", data={"note": "x" * 2_000_000}).status_code == 400


def test_two_windows_are_handed_different_items(own_runs, tmp_path):
    ann = client(own_runs, tmp_path, labeller="ann")
    assert [ann.get("/run/small/label").url.path for _ in range(2)] == ["/run/small/label/0", "/run/small/label/1"]


def test_costs_are_shown_where_there_are_prices_also_in_a_file(runs, tmp_path):
    prices = tmp_path / "prices.yaml"
    prices.write_text("date: 2026-11-01\nunit: EUR\nmodels: {scripted:small: {in: 0, out: 1000}}\n")
    viewer = client(runs, tmp_path, prices=str(prices))
    text = viewer.get("/?sort=-price").text
    assert 'title="2.1780 EUR, prices of 2026-11-01">2.1780</td>' in text
    assert f"{prices}: no price of scripted:other; it has scripted:small" in text
    assert text.index(">small</a>") < text.index(">deep~other</a>")
    assert "<dd>2.1780 EUR, prices of 2026-11-01</dd>" in viewer.get("/run/small/").text
    of_item = "<dt>cost</dt><dd>0.3600 EUR, prices of 2026-11-01</dd>"
    assert of_item in viewer.get("/run/small/item/0").text
    export_run(Library([runs / "small"], tmp_path / "cache"), tmp_path / "run.html", prices=str(prices))
    exported = (tmp_path / "run.html").read_text()
    assert "<dd>2.1780 EUR, prices of 2026-11-01</dd>" in exported and of_item in exported


def test_when_everything_is_labelled_the_overview_says_so(own_runs, tmp_path):
    ann = client(own_runs, tmp_path, labeller="ann")
    answer = ann.get("/run/small/label?x.domain=maths")
    answer = ann.post("/run/small/label/0?x.domain=maths", data={"best": "1"})
    assert answer.url.path == "/run/small/labels"


def test_a_run_deleted_under_the_viewer_is_an_error_page(own_runs, tmp_path):
    viewer = client(own_runs, tmp_path)
    assert viewer.get("/run/small/").status_code == 200
    shutil.rmtree(own_runs / "small")
    assert [viewer.get(f"/run/small/{rest}").status_code for rest in ("", "item/0", "across")] == [404] * 3
    assert viewer.get("/").status_code == 200


def test_a_run_of_a_hostile_name_is_shown_and_labelled(runs, tmp_path):
    name = "a#b?c d&e;<i>'\u202e"
    shutil.copytree(runs / "small", tmp_path / "runs" / name)
    shutil.copytree(runs / "small", tmp_path / "runs" / "plain")
    ann = client(tmp_path / "runs", tmp_path, labeller="ann\u202e")
    run = f"/run/{quote(name)}"
    asked = ["/", f"{run}/", f"{run}/item/0", f"{run}/across", f"{run}/labels", f"{run}/label",
             f"/compare?a={quote(name)}&b=plain", f"/beside?a={quote(name)}&b=plain&at=0&other=0"]  # fmt: skip
    for address in asked:
        answer = ann.get(address)
        text = re.sub(r'value="[^"]*"', "", answer.text)  # the choices of a list have the names themselves
        assert (answer.status_code, "\u202e" in text, "\\u202e" in text) == (200, False, True), address


def test_what_a_training_page_leaves_out_is_said(tmp_path):
    stage = tmp_path / "runs" / "long"
    stage.mkdir(parents=True)
    (stage / "stage.json").write_text(json.dumps({"stage": "sft", "recipe": {"note": "n" * 1000}}))
    logged = [{"step": step, **{f"f{i}": i for i in range(43)}} for step in (1, 2)]
    (stage / "report.json").write_text(json.dumps({"history": logged}))
    text = client(tmp_path / "runs", tmp_path).get("/training/long").text
    assert text.count("<figure") == 40
    assert "Not drawn, for there are too many: 3 more." in text
    assert f"<dd>{'n' * 300} … (1,000 characters)</dd>" in text


def test_an_exported_file_says_what_it_leaves_out_for_size(runs, tmp_path):
    said = export_run(Library([runs / "small"], tmp_path / "cache"), tmp_path / "run.html", most_bytes=10_000)
    assert said == f"written: {tmp_path / 'run.html'}, 1 of 7 items; 6 left out for size"
    text = (tmp_path / "run.html").read_text()
    assert "texts are cut after 20,000 characters; the last 6 items, for size." in text
    assert (text.count('<details class="exported"'), text.count("<h2>1 item</h2>")) == (1, 1)


def test_the_settings_of_an_exported_run_turn_nothing_around(tmp_path):
    asyncio.run(make_run(tmp_path / "run", ITEMS[:1], name="turned\u202e"))
    export_run(Library([tmp_path / "run"], tmp_path / "cache"), tmp_path / "run.html")
    text = (tmp_path / "run.html").read_text()
    assert "\u202e" not in text and "turned\\u202e" in text


def test_an_items_criteria_are_shown_and_labelled(tmp_path):
    from cli.test_rubric import SCRIPT, judging
    from cli.test_rubric import run as command
    from rubrics.samples import written

    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "items.jsonl").write_text('{"id": "q", "prompt": "help", "responses": ["good", "bad"], "best": 0}\n')
    written(tmp_path)
    command(*judging(tmp_path, "--out", tmp_path / "runs" / "rubric"))
    text = client(tmp_path / "runs", tmp_path).get("/run/rubric/item/0").text
    assert '<th scope="col">criterion</th><th scope="col" class="num">weight</th>' in text
    assert '<span class="title">Judgment 1, criterion jargon</span>' in text
    labelled_by_criterion(tmp_path)


def labelled_by_criterion(tmp_path):
    """Two people pass and fail both responses of the rubric's run; "good" comes first in the item."""
    item, run = Item("q", (), ("good", "bad")), tmp_path / "runs" / "rubric"
    answers = {
        "ann": {"correct": [1, 0], "jargon": [0, 1], "tone": [1, 0]},
        "bob": {"correct": [1, 1], "jargon": [0, 0], "tone": [0, 1]},
    }
    for name, said in answers.items():
        person = client(tmp_path / "runs", tmp_path, labeller=name, task="criteria")
        page = person.get("/run/rubric/label/0").text
        assert (page.count('<fieldset class="ask">'), "voted best" in page) == (6, False)
        form = {
            f"{id}.{place}": "pass" if given[i] else "fail"
            for place, i in enumerate(shuffled(name, item), 1)
            for id, given in said.items()
        }
        refused = person.post("/run/rubric/label/0", data={**form, "tone.2": "", "note": "kept"})
        assert "tone of response 2: nothing is chosen" in refused.text
        assert (refused.text.count(" checked>"), 'value="kept"' in refused.text) == (5, True)
        overview = person.post("/run/rubric/label/0", data=form).text
    assert [dict(label.entry) for label in labels_of(run)[0].values()] == [
        {"rewards": [1.0, 0.0], "criteria": answers["ann"]},
        {"rewards": [0.8, 1.0], "criteria": answers["bob"]},
    ]
    assert "two people of an item agree" in overview
    correct = overview.partition('<th scope="row">correct</th>')[2].partition("</tr>")[0]
    assert '<td class="num">2</td>' in correct and "50.0%" in correct and "75.0%" in correct
    assert "bob says: correct: A pass, B pass; jargon: A fail" in person.get("/run/rubric/item/0").text
    own = client(
        tmp_path / "runs", tmp_path, labeller="cem", task="criteria", criteria=rubric_of_questions(["kind: Ok?"])
    )
    assert own.get("/run/rubric/label/0").text.count("<strong>kind</strong> Ok?") == 2
