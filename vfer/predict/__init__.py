"""A trained bundle on videos of one's own: which emotion, when, of whom."""
