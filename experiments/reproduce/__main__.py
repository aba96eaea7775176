"""``python -m experiments.reproduce``."""

import sys

from experiments.reproduce.main import main

sys.exit(main())
