"""`python -m dia`, and the command `dia`."""

from dia2.common.terminal.interrupts import watch


def main() -> int:
    """Run the command line of this process."""
    watch("dia")  # before the imports that take their time
    from dia.cli import main as command

    return command()


if __name__ == "__main__":
    raise SystemExit(main())
