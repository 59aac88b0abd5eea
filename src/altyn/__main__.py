"""`python -m altyn` and the `altyn` script."""

from altyn.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
