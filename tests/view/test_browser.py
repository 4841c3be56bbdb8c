"""The viewer in a real Chromium: what no look at the HTML can tell."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest

from spct.run import RunStore
from spct.run.criteria_labels import rubric_of_questions
from spct.run.labels import labels_of
from spct.view.export import export_run
from spct.view.label_form import shuffled
from spct.view.library import Library
from view.runs import ITEMS, make_run

pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
from playwright.sync_api import expect, sync_playwright

from view.chromium import ARGUMENTS, Window, executable, served

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium on this machine: apt-get install chromium")

ADDRESSES = [
    "/",
    "/run/small/",
    "/run/small/item/0#judgment-0.0.0",
    "/run/small/item/5?diff=A-B#judgment-0.0.0",
    "/run/small/item/6?raw=1",
    "/run/small/item/0/judgment/0.0.0",
    "/run/small/across",
    "/run/small/labels",
    "/training/train~rl",
    "/training/all~rl-0000000b/rollouts?step=3",
    "/pipeline/all",
    "/bench/bench",
    "/run/small/label/0",
    "/compare?a=small&b=deep~other",
    "/beside?a=small&b=deep~other&at=2&other=2",
]
expect.set_options(timeout=60_000)  # a busy machine takes its time
AXE = {
    "light": "axe.run(document, {resultTypes: ['violations']})",
    "dark": "axe.run(document, {resultTypes: ['violations'], runOnly: ['color-contrast']})",
}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(runs, tmp_path_factory):
    with served(runs, tmp_path_factory.mktemp("cache"), labeller="ann") as found:
        yield found


@pytest.fixture
def window(browser):
    found = Window(browser)
    yield found
    found.close()
    assert found.complaints == []


def press(page, *keys):
    """Press keys, once the page's script listens: it then shows the button of the keys."""
    expect(page.locator("#keys-button")).to_be_visible()
    for key in keys:
        page.keyboard.press(key)


@pytest.mark.parametrize(("scheme", "width"), [("light", 400), ("dark", 1600)])
def test_every_page_is_quiet_accessible_and_as_wide_as_the_window(browser, address, scheme, width):
    axe = (files("axe_playwright_python") / "axe.min.js").read_text()
    window = Window(browser, width, scheme)
    page = window.page
    faults = []
    for path in ADDRESSES:
        page.goto(address + path)
        page.evaluate(axe)
        for found in page.evaluate(AXE[scheme])["violations"]:
            if found["impact"] in ("serious", "critical"):
                faults.append((path, found["id"], found["nodes"][0]["html"][:120]))
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append((path, "wider than the window", ""))
        if path.startswith("/run/small/item/5"):
            faults += [(path, "live", tag) for tag in ("img", "main style", "main script") if page.locator(tag).count()]
    assert faults == []
    assert window.complaints == []
    assert window.elsewhere(address) == []
    window.close()


def test_filters_search_and_sorting_live_in_the_address(window, address):
    page = window.page
    rows = page.locator("#rows a.row")
    page.goto(f"{address}/run/small/")
    expect(rows).to_have_text(["prime", "capital", "river", "greeting", "broken", "hostile", "long"])
    page.get_by_label("wrong", exact=True).check()
    expect(rows).to_have_text(["river", "long"])
    page.get_by_label("tied", exact=True).check()
    expect(rows).to_have_text(["river", "greeting", "long"])
    page.get_by_label("domain").select_option("facts")
    expect(rows).to_have_text(["river"])
    assert page.url == f"{address}/run/small/?show=wrong&show=tied&x.domain=facts"
    page.go_back()
    expect(rows).to_have_text(["river", "greeting", "long"])
    page.goto(f"{address}/run/small/?show=correct")
    press(page, "/")
    page.keyboard.type("brevity pari", delay=5)
    expect(rows).to_have_text(["capital"])
    page.goto(f"{address}/run/small/?show=wrong&show=tied")
    page.get_by_role("link", name="conf.").click()
    expect(rows).to_have_text(["greeting", "long", "river"])


def test_keys_lead_through_the_items_that_match(window, address):
    page = window.page
    page.goto(f"{address}/run/small/?show=wrong")
    press(page, "j", "j", "k", "Enter")
    expect(page.locator("h1")).to_contain_text("river")
    press(page, "j")
    expect(page.locator("h1")).to_contain_text("long")
    press(page, "k")
    expect(page.locator("h1")).to_contain_text("river")
    press(page, "r")
    expect(page.locator("#raw")).to_have_text("Markdown")
    press(page, "u")
    expect(page.locator("h1")).to_have_text("small")
    press(page, "?")
    expect(page.locator("dialog")).to_be_visible()
    press(page, "Escape")
    expect(page.locator("dialog")).to_be_hidden()


def test_a_judgment_opens_from_the_matrix_with_what_stands_behind_it(window, address):
    page = window.page
    page.goto(f"{address}/run/small/item/0")
    page.locator(".matrix a").nth(1).click()
    first = page.locator("details.judgment").nth(1)
    expect(first.locator("mark").first).to_be_visible()
    expect(page.locator("details.judgment").nth(0)).not_to_have_attribute("open", "")
    press(page, "o")
    expect(page.locator("details.judgment").nth(0)).to_have_attribute("open", "")
    first.locator("details.behind summary").click()
    expect(first.locator(".behind")).to_contain_text("Completion, as it came")
    expect(first.locator(".behind")).to_contain_text("[Begin response 1")


def test_hostile_texts_stay_texts(window, address):
    page = window.page
    page.goto(f"{address}/run/small/item/5")
    assert page.title().startswith("hostile")
    expect(page.locator("#response-A .text")).to_have_text(
        '<script>document.title="owned"</script><img src=x onerror=alert(1)>'
    )
    expect(page.locator("#response-C .text")).to_contain_text("\\u202eright to left\\u202c \\x1b[2J")
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert window.elsewhere(address) == []


def test_two_people_label_by_keyboard_at_once(browser, own_runs, tmp_path):
    with contextlib.ExitStack() as stack:
        windows = {}
        for name in ("ann", "bob"):
            address = stack.enter_context(served(own_runs, tmp_path / name, labeller=name))
            windows[name] = Window(browser)
            stack.callback(windows[name].close)
            windows[name].page.goto(f"{address}/run/small/label")
        for number in range(len(ITEMS)):
            for name, window in windows.items():
                expect(window.page.locator("h1")).to_contain_text(f"item {number} ")
                if name == "bob" and number == 1:
                    press(window.page, "s")
                    continue
                press(window.page, "t" if number == 2 else "1")
                if number == 0:
                    press(window.page, "n")
                    window.page.keyboard.type(f"by {name}, 2s")
                press(window.page, "Enter")
                expect(window.page.locator(".saved, h1").first).to_contain_text("Saved" if number < 6 else "Labels")
        found = labels_of(own_runs / "small")
        assert {position: sorted(given) for position, given in found.items()} == {n: ["ann", "bob"] for n in range(7)}
        assert [found[0][name].note for name in ("ann", "bob")] == ["by ann, 2s", "by bob, 2s"]
        assert found[1]["bob"].entry is None
        assert found[2]["ann"].entry == {"label": "tie"}
        label_by_criterion_in_two_windows(stack, browser, own_runs, tmp_path)
        assert [window.complaints for window in windows.values()] == [[], []]


def label_by_criterion_in_two_windows(stack, browser, own_runs, tmp_path):
    asked = rubric_of_questions(["kind: Is it kind?", "short"])
    address = stack.enter_context(served(own_runs, tmp_path / "cem", "cem", task="criteria", criteria=asked))
    windows = [Window(browser) for _ in range(2)]
    for number, window in enumerate(windows, 1):  # two pairs: four questions each
        stack.callback(window.close)
        window.page.goto(f"{address}/run/small/label?x.domain=facts")
        expect(window.page.locator("h1")).to_contain_text(f"item {number} ")
    press(windows[1].page, "f", "p", "p", "p", "p")  # one more than there are questions changes nothing
    press(windows[0].page, "p", "f", "k", "k", "f", "j", "p", "f")
    for window, after in zip(windows, ("Saved", "Labels"), strict=True):  # whoever saves last is told that all is done
        press(window.page, "Enter")
        expect(window.page.locator(".saved, h1").first).to_contain_text(after)
    for position, said in {1: {"kind": [0, 1], "short": [0, 0]}, 2: {"kind": [0, 1], "short": [1, 1]}}.items():
        found = labels_of(own_runs / "small", position)[position]["cem"].entry["criteria"]
        assert {id: [row[i] for i in shuffled("cem", ITEMS[position])] for id, row in found.items()} == said


def test_a_run_that_is_being_written_grows_on_the_page(window, tmp_path):
    directory = tmp_path / "runs" / "live"
    with ThreadPoolExecutor(1) as thread:  # this one has the browser's event loop
        thread.submit(asyncio.run, make_run(directory, ITEMS[:2], planned=3)).result()
    page = window.page
    store = RunStore.open(directory, write=True)
    with served(tmp_path / "runs", tmp_path / "cache") as address:
        page.goto(address)
        expect(page.locator("#rows")).to_contain_text("live 2 of 3")
        page.get_by_role("link", name="live").click()
        rows = page.locator("#rows a.row")
        expect(rows).to_have_text(["prime", "capital"])
        press(page, "j")
        store.add_item(2, ITEMS[2])
        store.flush()
        expect(rows).to_have_text(["prime", "capital", "river"])
        expect(page.locator("#rows tr").last).to_contain_text("unfinished")
        expect(page.locator("#item-0")).to_be_focused()  # what is read is not lost when the list grows
        store.put_verdict(2, {**store.verdict_row(1), "id": "river"})
        store.close()
        expect(page.locator("#rows tr").last).to_contain_text("✗ wrong")
        expect(page.locator("#found")).not_to_have_attribute("hx-trigger", "every 2s")


WRITER = """
import asyncio, pathlib, sys, time
from spct.run import RunStore
from view.runs import ITEMS, make_run

directory = pathlib.Path(sys.argv[1])
asyncio.run(make_run(directory, ITEMS[:2], planned=3))
store = RunStore.open(directory, write=True)
store.add_item(2, ITEMS[2])
store.flush()
print("written", flush=True)
time.sleep(600)
"""


def test_a_page_outlives_the_writer_of_its_run_and_the_run(browser, tmp_path):
    directory = tmp_path / "runs" / "live"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    writer = subprocess.Popen([sys.executable, "-c", WRITER, directory], env=environment, stdout=subprocess.PIPE)
    window = Window(browser)
    page = window.page
    try:
        with served(tmp_path / "runs", tmp_path / "cache") as address:
            assert writer.stdout.readline() == b"written\n"
            page.goto(f"{address}/run/live/")
            expect(page.locator("#found")).to_contain_text("2 of 3 being written")
            writer.kill()
            writer.wait()
            expect(page.locator("#found")).to_contain_text("2 of 3 stopped")
            page.locator("#rows a.row").first.click()
            page.locator(".matrix a").first.click()
            shutil.rmtree(directory)
            assert window.complaints == []
            page.locator("details.judgment[open] details.behind > summary").click()
            expect(page.get_by_role("alert")).to_contain_text("there is no run 'live' here; it was moved or deleted")
            expect(page.locator("details.judgment[open]")).to_contain_text("It is correct and beats the others.")
            assert refused(window) == 1
            page.get_by_role("link", name="live").click()
            expect(page.locator("h1")).to_have_text("This cannot be shown")
    finally:
        writer.kill()
        writer.communicate()
        window.close()


def test_a_list_of_a_run_that_is_deleted_stays_and_says_so_once(browser, tmp_path):
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, make_run(tmp_path / "runs" / "live", ITEMS[:2], planned=3)).result()
    store = RunStore.open(tmp_path / "runs" / "live", write=True)
    window = Window(browser)
    with served(tmp_path / "runs", tmp_path / "cache") as address:
        window.page.goto(f"{address}/run/live/")
        shutil.rmtree(tmp_path / "runs" / "live")
        expect(window.page.get_by_role("alert")).to_contain_text("there is no run 'live' here")
        window.page.wait_for_timeout(2500)  # longer than between two looks
        expect(window.page.locator("#rows a.row")).to_have_text(["prime", "capital"])
        assert refused(window) == 1
    store.close()
    window.close()


def refused(window):
    """How often a page asked behind the reader's back for what is not there."""
    return sum(text.startswith("Response Status Error Code 404") for text in window.complaints)


def test_an_exported_file_opens_from_disk(window, runs, tmp_path):
    file = tmp_path / "report.html"
    said = export_run(Library([runs / "small"], tmp_path / "cache"), file, ("wrong", "tied"))
    assert said == f"written: {file}, 3 of 7 items"
    page = window.page
    page.goto(file.as_uri())
    expect(page.locator("details.exported > summary strong")).to_have_text(["river", "greeting", "long"])
    expect(page.locator("canvas")).to_have_count(3)
    page.locator("details.exported > summary").first.click()
    page.locator(".matrix a").first.click()
    expect(page.locator("details.judgment mark").first).to_be_visible()
    assert window.asked == [file.as_uri()]
    assert file.stat().st_size < 400_000
