"""``python -m vfer.fit``."""

import sys

from vfer.fit.main import main

sys.exit(main())
