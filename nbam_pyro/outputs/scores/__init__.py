"""A switch on the scores of any anomaly detector."""
