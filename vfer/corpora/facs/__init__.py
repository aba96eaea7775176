"""The built-in corpus: talking heads drawn from facial action units."""
