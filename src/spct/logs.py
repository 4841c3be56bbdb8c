"""Where spct logs: by loggers named after its modules, such as ``spct.engines.http.client``, silent until somebody listens.

WARNING: something a user may have to see to, though the work goes on. INFO: what happens once or seldom, as a run that is
opened, an engine that is chosen, a server that is left out. DEBUG: what happens with requests and items, one by one.
Rule: at INFO and above there is no key and no text of an item, of a judgment or of what a server answers. At DEBUG a server's own
words may be told, and they may quote what it was asked.
"""

from __future__ import annotations

import logging

logging.getLogger("spct").addHandler(
    logging.NullHandler()
)  # else Python prints warnings of loggers that nobody listens to


def logger(module: str) -> logging.Logger:
    """The logger of a module, by its ``__name__``."""
    return logging.getLogger(module)
