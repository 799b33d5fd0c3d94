"""Benchmarks of speed and quality. `python -m benchmarks list` prints their names.

`python -m benchmarks run NAME` runs one benchmark. Rows that the documents use are kept in
`benchmarks/results/`.
"""
