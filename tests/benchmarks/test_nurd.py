"""The benchmark `nurd` on small data."""

import numpy as np
import pytest

from benchmarks.detection import nurd
from benchmarks.detection.nurd import Nurd
from benchmarks.detection.nurd_images import digits
from benchmarks.detection.nurd_jets import SIGNALS, jets
from benchmarks.options import Names
from benchmarks.rows import long, wide
from nbam_pyro.errors import DataError


def test_synthetic_rows_have_exact_figures_beside_them():
    rows = list(Nurd(data="synthetic_c", methods=Names(["mahalanobis"]), seeds=1).measure(()))
    assert len(rows) == 15
    for row in rows:
        assert row.figures["auroc"] == pytest.approx(row.figures["exact"], abs=0.01)
    known = [rows[0].case]
    assert not list(
        Nurd(data="synthetic_c", methods=Names(["mahalanobis"]), seeds=1).measure(known)
    )


def test_nuisances_follow_the_label_in_training_and_nothing_in_tests():
    data = digits(0, None)
    x, label, nuisance = data.train
    assert x.shape[1] == data.x.shape[1] == data.odd.shape[1] == 128
    assert np.mean(label == nuisance) == pytest.approx(0.9, abs=0.06)
    assert np.mean(data.y == data.u) == pytest.approx(0.5, abs=0.12)
    assert not (data.x[data.u == 0, 64:]).any()


def test_every_kind_of_jet_occurs_at_all_masses():
    data = jets(0, rows=3000, tests=1000)
    _, y, mass = data.train
    assert set(data.signals) == set(SIGNALS)
    regions = np.searchsorted(np.quantile(mass, np.linspace(0.1, 0.9, 9)), mass)
    assert all(((y == k) & (regions == one)).sum() > 5 for k in range(3) for one in range(10))


def test_a_refused_seed_is_a_row_and_the_next_seed_is_measured(monkeypatch):
    def measured(method, seed, root):
        if seed == 0:
            raise DataError("too few rows")
        yield {}, {"accuracy": 1.0}

    monkeypatch.setitem(nurd._STUDIES, "digits", nurd._Study(("erm",), measured))
    refused, found = Nurd(data="digits", seeds=2).measure(())
    assert (refused.case.seed, refused.figures, refused.notes) == (
        0,
        {},
        {"refused": "too few rows"},
    )
    assert found.figures == {"accuracy": 1.0}
    rows = wide(long("nurd", [refused, found], command=None))
    assert "1.0" in Nurd.summary(rows)
