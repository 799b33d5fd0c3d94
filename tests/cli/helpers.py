"""Commands as a person types them, and tables to give to them."""

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from nbam_pyro.cli import app

runner = CliRunner()


def nbam(*arguments):
    return runner.invoke(app, [str(argument) for argument in arguments])


def refused(*arguments):
    """What is said about a mistake: one line, exit code 2, no traceback."""
    result = nbam(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("nbam: "), result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr


def bugs(n=360, seed=0):
    """Three species by length and width; 12 % of ants and bees have each other's label."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    features = np.array([[5.0, 2.0], [7.0, 3.0], [9.0, 5.0]])[truth] + rng.normal(0, 0.4, (n, 2))
    names = np.array(["ant", "bee", "cat"])
    wrong = (truth < 2) & (rng.random(n) < 0.12)
    frame = pd.DataFrame(features, columns=["length", "width"])
    frame["colour"] = rng.choice(["red", "blue"], n)
    frame["species"] = names[np.where(wrong, 1 - truth, truth)]
    return frame, wrong


def distances(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    wrong = np.arange(n) < n // 10
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame["far"] = x @ [3.0, -2.0] + 0.1 * rng.normal(size=n) + 8.0 * wrong
    return frame, wrong
