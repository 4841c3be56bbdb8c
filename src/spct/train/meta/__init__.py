"""The meta RM: a classifier that tells right judgments from wrong ones."""
