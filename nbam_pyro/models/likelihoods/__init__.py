"""Clean and anomaly likelihoods, the components of a latent switch."""
