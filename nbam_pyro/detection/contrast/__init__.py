"""Parts of contrastive training on images: views, pseudo-anomalies, their filter, and the loss."""
