"""Rubrics learned from labelled items: questions proposed from what a judge got wrong, kept where they help."""
