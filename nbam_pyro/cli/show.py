"""`nbam show`."""

from nbam_pyro.cli.common import RunArgument, mistakes, say


def show(
    run: RunArgument,
) -> None:
    """Show the results of a run: the share of wrong rows, flips of labels, and suspicious rows."""
    with mistakes():
        from nbam_pyro.cli.runs import read_summary, show_lines, suspicious_lines

        summary = read_summary(run)
        rows = suspicious_lines(run / "flags.csv", labels=summary["task"] == "classification")
    for line in [*show_lines(summary), "", *rows]:
        say(line)
