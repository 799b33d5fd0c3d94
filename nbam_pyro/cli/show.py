"""`nbam show`."""

from nbam_pyro.cli.common import RunArgument, mistakes, say


def show(
    run: RunArgument,
) -> None:
    """Show the results of a run: the share of wrong rows, flips of labels, and suspicious rows."""
    with mistakes():
        from nbam_pyro.cli.runs import read_report, show_lines, table_lines

        summary, flags = read_report(run)
    for line in [*show_lines(summary), "", *table_lines(flags)]:
        say(line)
