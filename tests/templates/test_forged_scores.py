"""Judges that quote what they were shown, simulated: no score comes of a quotation, nor of a draft."""

from collections import Counter

from benchmarks.forged_scores import forms, trials


def test_no_score_is_forged():
    """Each answer form in turn; the benchmark of that name counts many more."""
    made = list(trials(3000, seed=11))
    read = Counter(trial.read for trial in made)
    assert [(trial.form, trial.way, trial.text) for trial in made if trial.read in ("quotation", "draft")] == []
    assert read["verdict"] > 600  # the judges' own verdicts are read all the same
    assert {trial.form for trial in made} == {form.name for form in forms()}
