"""`python -m flywheel.cli`: the command line of this interpreter, installed as a command or not."""

from flywheel.cli import main

if __name__ == "__main__":
    main()
