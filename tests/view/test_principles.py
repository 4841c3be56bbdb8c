import contextlib

from spct.run import RunStore
from spct.view.across_page import across
from spct.view.library import Library
from spct.view.principles import grouped, principles


def named(*rows):
    return [(frozenset(name.casefold() for name in names), right) for names, right in rows]


def test_names_that_are_alike_are_one_group_that_counts_each_judgment_once():
    rows = named(
        (["Accuracy", "Accuracy of information"], True),
        (["Accuracy", "Tone"], False),
        (["Accuracy of information"], None),
        (["Tone", "Helpful tone"], True),
    )
    spelled = {name.casefold(): name for name in ("Accuracy", "Accuracy of information", "Tone", "Helpful tone")}
    assert [(one.name, list(one.names), one.judgments, one.graded, one.right) for one in grouped(rows, spelled)] == [
        ("Accuracy", [("Accuracy", 2), ("Accuracy of information", 2)], 3, 2, 1),
        ("Tone", [("Tone", 2), ("Helpful tone", 1)], 2, 2, 1),
    ]


def test_groups_are_the_same_in_any_order_of_judgments():
    names = ["Following instructions", "Instruction following", "Depth", "Depth of analysis", "Brevity", "Logic"]
    rows = named(*(([name], True) for name in names))
    spelled = {name.casefold(): name for name in names}
    found = grouped(rows, spelled)
    assert [one.name for one in found] == ["Depth", "Following instructions", "Brevity", "Logic"]
    assert grouped(rows[::-1], spelled) == found


def test_a_large_run_is_read_in_parts_spread_over_it(runs, tmp_path):
    library = Library([runs], tmp_path)
    index = library.index("small")
    index.update(60)
    with contextlib.closing(RunStore.open(runs / "small")) as store, index.reading() as db:
        found = principles(store, db, most=12)
        assert (found.read, found.every, found.left) == (12, 4, 0)
        assert [(one.name, one.judgments, one.graded, one.right) for one in found.groups] == [
            ("Brevity", 6, 6, 6),
            ("Correctness", 6, 6, 6),
        ]
        assert (principles(store, db).read, principles(store, db).every) == (42, 1)
        part = across(index.directory, db, most=3)
        assert part.part == "Curves, scores and audit are of 3 items drawn from the 7 that are judged."
        assert [len(part.plots[0].x), part.findings[0].figure.endswith("(n = 3)")] == [4, True]
        assert across(index.directory, db).part == ""
    library.close()
