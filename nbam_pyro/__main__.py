"""`nbam`, and `python -m nbam_pyro`."""

from nbam_pyro.cli.stopping import stoppable


def main() -> None:
    """Run the command line. A signal ends it at any moment, also while it is being imported."""
    with stoppable():
        from nbam_pyro.cli.main import app

        app()


if __name__ == "__main__":
    main()
