"""``vfer.prepare``: from a corpus to its crop store."""
