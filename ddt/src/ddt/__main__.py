"""`python -m ddt` is `ddt`."""

from ddt.cli import main

if __name__ == "__main__":
    main()
