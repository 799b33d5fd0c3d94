"""Objects with something to report, texts that try to be more than texts, and reading of pages."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd

from nbam_pyro import from_pred_probs
from nbam_pyro.outputs import from_predictions, from_scores

HOSTILE = [
    "<script>document.title = 'run'</script>",
    "<img src=x onerror=\"document.title = 'run'\">",
    "\x1b[31mred\x1b[2J",
    "</style></script><b>bold",
    "$\\frac{1}{0}$ {{ 7 * 7 }}",
    "x" * 5000,
]


def labels(names=("ant", "bee", "cat"), n=300, seed=0):
    """A report on labels of which 15 % are wrong, and the features of the rows."""
    rng = np.random.default_rng(seed)
    k = len(names)
    truth = rng.integers(k, size=n)
    wrong = rng.random(n) < 0.15
    y = np.where(wrong, (truth + 1) % k, truth)
    p = np.full((n, k), 0.04 / (k - 1))
    p[np.arange(n), truth] = 0.96
    x = np.column_stack([truth * 4.0, -truth * 3.0]) + rng.normal(size=(n, 2))
    table = pd.DataFrame(x, columns=["length", "width"]).assign(place=rng.choice(["a", "b"], n))
    given = np.array(names, dtype=object)[y]
    return from_pred_probs(given, pd.DataFrame(p, columns=list(names))), table, wrong


def measurements(n=200):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=n)
    y = mean + 0.1 * rng.normal(size=n)
    y[:10] += 5
    return from_predictions(y, mean, scale=np.full(n, 0.1)), pd.DataFrame({"a": mean, "b": mean**2})


def anomalies(n=300):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    x[:20] += 9
    return from_scores(np.abs(x).max(1)), pd.DataFrame(x, columns=["flow", "heat"])


class Page(HTMLParser):
    """Elements of a page, and the texts that a person reads."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self._hidden = [], [], 0
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._hidden:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
