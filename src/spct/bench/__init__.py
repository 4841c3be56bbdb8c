"""Reward benchmarks: what is asked, what counts, how it adds up, and where a judge leans."""
