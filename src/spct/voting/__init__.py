"""The arithmetic of a vote: orders, blocks, expected scores, totals, confidence, when to stop, and whether it is right."""
