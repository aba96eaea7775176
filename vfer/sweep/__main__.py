"""``python -m vfer.sweep``."""

import sys

from vfer.sweep.main import main

sys.exit(main())
