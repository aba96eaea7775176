"""``vfer.sweep``: many runs of one sweep file."""
