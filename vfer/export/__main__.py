"""``python -m vfer.export``."""

import sys

from vfer.export.main import main

sys.exit(main())
