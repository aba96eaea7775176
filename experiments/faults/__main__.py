"""``python -m experiments.faults``."""

import os
import sys

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy: a process with threads is not to be forked

from experiments.faults.main import main  # noqa: E402 - after that

sys.exit(main())
