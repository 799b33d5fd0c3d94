"""The variational posterior of global latents and its objectives."""
