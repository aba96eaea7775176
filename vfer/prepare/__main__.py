"""``python -m vfer.prepare``."""

import sys

from vfer.prepare.main import main

sys.exit(main())
