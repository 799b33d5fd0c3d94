"""Random rows and targets of every kind of story."""

import torch

FEATURES = 4


def labels(num_classes, n=6):
    return torch.randn(n, FEATURES), torch.randint(num_classes, (n,))


def values(n=6):
    return torch.randn(n, FEATURES), 5 * torch.randn(n)


def counts(n=6):
    return torch.randn(n, FEATURES), torch.randint(40, (n,)).float()


def tags(n=6):
    return torch.randn(n, FEATURES), torch.randint(2, (n, 3)).float()


def pixels(n=6):
    return torch.randn(n, 2, 3, 4), torch.randint(3, (n, 3, 4))


def grouped(n=6):
    x, y = labels(3, n)
    return torch.cat([x, torch.randint(-1, 3, (n, 1)).float()], 1), y


def placed(n=6):
    x, y = values(n)
    return torch.cat([x, torch.randn(n, 2)], 1), y


def placed_labels(n=6):
    x, y = labels(3, n)
    return torch.cat([x, torch.randn(n, 2)], 1), y


def line(n=6):
    x = torch.linspace(0, 5, n)[:, None]
    return x, x[:, 0] + torch.randn(n)


def vectors(n=6):
    return torch.randn(n, FEATURES), torch.tensor([0.0, 3.0]) + 5 * torch.randn(n, 2)
