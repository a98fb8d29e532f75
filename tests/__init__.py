"""The tests, in folders by what they cost; and, as in ``core.__main__``, one thread per process for NumPy and torch."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # read once, when NumPy is first imported
    os.environ.setdefault(_name, "1")
