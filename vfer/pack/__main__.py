"""``python -m vfer.pack``."""

import sys

from vfer.pack.main import main

sys.exit(main())
