"""`nbam`, and `python -m nbam_pyro.cli`."""

from nbam_pyro.cli.stopping import stoppable


def main() -> None:
    """Run the command line. A signal ends it at any moment, even during the imports."""
    with stoppable():
        from nbam_pyro.cli.main import app

        app()


if __name__ == "__main__":
    main()
