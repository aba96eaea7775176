"""Processes, files and the console; nothing of faces or networks."""
