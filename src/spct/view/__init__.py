"""``spct view``: runs as web pages, and labels from people.

Pages are rendered here (Starlette, Jinja2) and made lively by htmx; plots are uPlot's. Everything is served from this package,
nothing is fetched from elsewhere. The viewer reads runs and never writes to them: what it needs to find items quickly is an
index of its own in the user's cache (``index``), and labels are a file of their own beside the run (``labels``).
"""
