"""What ``python -m core bench`` measures: each side against another inside one run, and the ratios."""
