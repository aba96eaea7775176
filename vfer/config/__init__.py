"""The config tree, its parser, and which keys change a number."""
