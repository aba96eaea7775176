"""The networks of the paper; nothing here knows Lightning."""
