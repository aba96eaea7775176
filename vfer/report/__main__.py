"""``python -m vfer.report``."""

import sys

from vfer.report.main import main

sys.exit(main())
