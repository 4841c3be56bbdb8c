"""Training data: preference sources -> items for judging and training, split by conversation, free of benchmark queries.

``build(recipe, out)`` reads the sources, drops what cannot be used, removes what a benchmark asks too, mixes the forms
in the stated shares and writes a file per split, a report and a manifest.
"""
