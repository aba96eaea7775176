"""``vfer.fit``: training and testing by LOSGO."""
