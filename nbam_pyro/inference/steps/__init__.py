"""Recipe steps: what a fit does, in which order."""
