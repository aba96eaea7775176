"""From frames to aligned face crops (section 3.2)."""
