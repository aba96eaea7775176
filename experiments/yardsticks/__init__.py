"""``experiments.yardsticks``: well-known networks of torchvision under the same protocol."""
