"""Clean and anomaly likelihoods, which are components of a latent switch."""
