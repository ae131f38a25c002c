"""`python -m sfumato` is the command line."""

from sfumato.cli import main

if __name__ == "__main__":  # a process that a recipe starts imports this file too
    main()
