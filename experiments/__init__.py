"""What the paper's tables, figures and the measurements of this repository come from."""
