"""`python -m panvec` is `panvec`."""

from panvec.cli import main

if __name__ == "__main__":
    main()
