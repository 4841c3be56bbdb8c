"""What a viewer keeps of a run to find its items quickly: a row of cells for each item, and every word.

A database of the viewer's own in the user's cache, made from the run and made again whenever it is missing or of another run.
"""

from spct.view.index.index import Index
from spct.view.index.query import PAGE, Query, query_of

__all__ = ["PAGE", "Index", "Query", "query_of"]
