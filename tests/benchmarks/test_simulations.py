"""Simulated tables, robust lines of other authors, and simulations for refits."""

import inspect
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.calibration import right_labels, share_designs, share_prior, sharpness_prior
from benchmarks.calibration.refits import PARTS, POOR, labels_of
from benchmarks.calibration.unlabelled_tables import unlabelled
from benchmarks.regression.robust_lines import least_squares, student, trimmed
from benchmarks.regression.simulated_tables import KINDS, simulated
from benchmarks.rows import read, wide
from nbam_pyro.inference.posterior.share_prior import FITTED, FITTED_FEW, Seen
from nbam_pyro.outputs import sharpness_prior as outputs_prior

RESULTS = Path(share_prior.__file__).parents[1] / "results"


@pytest.mark.parametrize("seed", range(10))
def test_a_simulated_table_is_below_the_breakdown_point(seed):
    table = simulated(seed)
    n, size = table.x.shape
    assert table.kind == KINDS[seed % len(KINDS)]
    assert 20 <= n <= 200
    assert 1 <= size <= 5
    assert table.wrong.sum() < (n - size) / 2
    assert table.right(table.slopes)
    assert not table.about_right(table.slopes + 3 * max(table.best, table.expected))


@pytest.mark.parametrize("line", [trimmed, student])
def test_robust_lines_ignore_gross_errors(line):
    rng = np.random.default_rng(0)
    columns = np.column_stack([np.ones(80), rng.normal(size=(80, 2))])
    y = columns @ [1.0, 2.0, -1.0] + 0.1 * rng.normal(size=80)
    y[:12] += 20
    assert line(columns, y) == pytest.approx([1.0, 2.0, -1.0], abs=0.1)
    assert least_squares(columns, y)[0] > 2


@pytest.mark.parametrize("part", [*PARTS, *POOR])
def test_labels_of_a_simulation_are_wrong_where_they_say(part):
    x, labels, wrong = labels_of(part, 1)
    assert len(x) == len(labels) == len(wrong)
    assert wrong.mean() < 0.5
    if part in POOR:
        assert wrong.mean() == pytest.approx(0.2, abs=0.13)
        assert not labels_of(part, 0)[2].any()


def test_simulated_anomalies_are_a_minority_of_finite_rows():
    tables = [unlabelled(seed) for seed in range(40)]
    for x, anomaly in tables:
        assert len(x) == len(anomaly) >= 200
        assert np.isfinite(x).all()
        assert anomaly.mean() < 0.35
    without = sum(not anomaly.any() for _, anomaly in tables)
    assert 2 <= without <= 20
    np.testing.assert_array_equal(unlabelled(3)[0], tables[3][0])


def test_the_prior_of_the_share_is_that_of_its_rows():
    rows = wide(read(RESULTS / "share-development.parquet"))
    seen = [Seen(**one) for one in rows[[field.name for field in fields(Seen)]].to_dict("records")]
    for one, kept in zip(share_prior.fitted(rows), (FITTED, FITTED_FEW), strict=True):
        for name in ("centre", "spread"):
            assert getattr(one, name) == pytest.approx(getattr(kept, name), abs=0.02)
        # The optimum is flat: on other processors, other coefficients give the same probabilities.
        away = [abs(one.right_weight(each) - kept.right_weight(each)) for each in seen]
        assert np.mean(away) < 0.01
        assert max(away) < 0.1


def test_the_prior_of_the_sharpness_is_that_of_its_rows():
    found = sharpness_prior.fitted(wide(read(RESULTS / "sharpness-development.parquet")))
    for name in ("mean", "scale", "right", "centre", "spread"):
        assert getattr(found, name) == pytest.approx(getattr(outputs_prior.FITTED, name), abs=0.02)


def test_texts_belong_to_the_package_that_documents_them():
    documents, packages = right_labels.texts()
    assert len(documents) == len(set(documents)) == len(packages) > 1000
    of = dict(zip(documents, packages, strict=True))
    assert of[inspect.getdoc(np.linalg.norm)] == 0
    assert of[inspect.getdoc(torch.nn.Linear)] == 4
    x, y = right_labels.table_of("digits", 4, None, 0)
    assert x.shape == (1797, 4)
    assert set(y) == set(range(10))


def test_a_development_table_of_the_share_has_wrong_labels():
    for seed in range(40):
        rng = np.random.default_rng([77, seed])
        if share_designs.NAMES[int(rng.integers(len(share_designs.NAMES)))] == "moons":
            name, data = share_designs.development(seed, Path("none"))
            assert name == "moons"
            assert len(data.x) == len(data.labels)
            assert (data.labels != data.true).mean() < 0.5
            break
    else:
        raise AssertionError("No design has moons.")
