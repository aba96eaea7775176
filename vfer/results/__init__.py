"""The files of a result and how they are scored; no torch."""
