"""A model folder: what prediction needs of a bundle, and a card that says what it is."""
