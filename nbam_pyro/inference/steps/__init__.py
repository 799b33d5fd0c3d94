"""Recipe steps: the parts that a fit is composed of."""
