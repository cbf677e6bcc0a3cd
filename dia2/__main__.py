"""`python -m dia2`, and the command `dia2`."""

from dia2.common.terminal.interrupts import watch


def main() -> int:
    """Run the command line of this process."""
    watch("dia2")  # before the imports that take their time
    from dia2.cli import main as command

    return command()


if __name__ == "__main__":
    raise SystemExit(main())
