"""`python -m tensorize`: the command line, the one place where the library knows of it."""

from tensorize_cli.main import main

if __name__ == "__main__":
    main()
