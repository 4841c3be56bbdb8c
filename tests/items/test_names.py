from spct.items.names import letter, letters


def test_letters_go_on_behind_z():
    assert [letter(i) for i in (0, 1, 25, 26, 27, 51, 52, 701, 702)] == [
        "A",
        "B",
        "Z",
        "AA",
        "AB",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]


def test_letters_are_listed_as_people_do():
    assert [letters(range(n)) for n in range(4)] == ["", "A", "A and B", "A, B and C"]
