"""Where a judge leans: probes over a run, and what they find."""
