"""Label noise: the library's default and every baseline, on the same noisy rows.

`python -m benchmarks.label_noise` measures one case, `benchmarks.label_noise.grid` all of them and
`benchmarks.label_noise.report` makes the table and the figure of docs/benchmarks.md.
"""
