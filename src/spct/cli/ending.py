"""How the process ends after a signal; apart from ``stopping``, so that a page of help needs no event loop."""

STOPPED = 130
"""The exit code."""
STOP_WITHIN_S = 0.7
"""From a signal to the end of a process whose work does not end by itself."""
