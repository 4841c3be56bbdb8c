"""From stored judgments to figures: ballots, curves over k, intervals, results, comparisons."""
