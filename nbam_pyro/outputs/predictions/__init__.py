"""A switch on the predictions of any regressor."""
