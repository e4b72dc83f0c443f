"""`python -m rfcalc`."""

from rfcalc.cli import main

if __name__ == "__main__":
    main()
