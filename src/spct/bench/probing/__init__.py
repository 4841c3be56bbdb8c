"""Judges put to the proof: items changed in ways that must not raise a score, or must not matter, and what they do to it."""
