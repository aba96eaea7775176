"""``python -m vfer.predict``."""

import sys

from vfer.predict.main import main

sys.exit(main())
