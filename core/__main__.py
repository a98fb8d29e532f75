"""``python -m core``: the command line."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # read once, when NumPy is first imported:
    os.environ.setdefault(_name, "1")  # our arrays are small, and the workers have the cores


def main() -> None:
    """What ``python -m core`` and the installed command ``tracewright`` run."""
    from core.cli.app import main as run  # only now: NumPy comes with it

    run()


if __name__ == "__main__":
    main()
