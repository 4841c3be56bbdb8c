"""Trained models as GGUF files, each checked against the model it was made from."""
