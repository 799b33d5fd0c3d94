"""Whether posteriors, intervals and priors say what they should."""
