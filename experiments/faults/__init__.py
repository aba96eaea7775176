"""Fault trials: commands are killed, files fail or are damaged, and what is lost is counted."""
