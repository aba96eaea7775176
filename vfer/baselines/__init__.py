"""Other methods under the same folds, crops and scoring."""
