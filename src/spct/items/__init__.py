"""Rows of a file -> Item. JSONL, JSON, CSV, workbooks, Parquet, Arrow or stdin; the row shapes are in ``shapes.SHAPES``."""

from spct.items.columns import Reading, reading_of
from spct.items.item import fingerprint, item_to_row, parse_item
from spct.items.reader import read_items, read_rows
from spct.items.shapes import SHAPES

__all__ = ["SHAPES", "Reading", "fingerprint", "item_to_row", "parse_item", "read_items", "read_rows", "reading_of"]
