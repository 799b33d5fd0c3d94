"""Anomaly detection on training rows that are themselves contaminated."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "assignments": ["Assignment", "Blind", "Exact", "Hard", "Refine", "Soft"],
        "autoencoder": ["AutoEncoder"],
        "detector": ["AnomalyDetector", "OutlierView"],
        "energies": ["Backbone", "Energies"],
        "internal_contrastive": ["InternalContrast"],
        "mixtures": ["GaussianMixture"],
        "neural_transformations": ["NeuralTransformations"],
        "rates": ["RateEstimate", "estimate_rate"],
        "rotations": ["Rotations"],
        "statistics": [
            "LikelihoodRatio",
            "LogLikelihood",
            "Mahalanobis",
            "MaxLogit",
            "TestStatistic",
            "Typicality",
        ],
        "svdd": ["DeepSVDD"],
        "unified": ["UnifiedObjective", "Weights", "train_objective"],
    },
)
