"""Speed and quality, measured: `python -m benchmarks list` says what there is.

`python -m benchmarks run NAME` measures one benchmark; its rows are kept in `benchmarks/results/`.
"""
