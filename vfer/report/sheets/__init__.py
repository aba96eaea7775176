"""The questions of two published check lists, answered from what a bundle holds."""
