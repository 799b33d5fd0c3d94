"""Whether a fit means anything, and what the data can tell."""
