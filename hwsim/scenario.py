"""`python -m hwsim.scenario NAME` is `hwsim run NAME`."""

from hwsim.cli import run
from hwsim.shell import plain_app


def main() -> None:
    """Runs the one verb under its own name."""
    app = plain_app()
    app.command()(run)
    app(prog_name="python -m hwsim.scenario")


if __name__ == "__main__":
    main()
