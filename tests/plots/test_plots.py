"""Every picture draws into the axes it is given, returns them, and shows what it should."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from torch import nn

from nbam_pyro import (
    LabelFlip,
    NBAMClassifier,
    fit,
    from_pred_probs,
    plots,
    to_datatree,
    transition_matrix,
)
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import Comparison, Joint, known_flips
from tests.cases import ALL_STORIES


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(scope="module")
def tree():
    torch.manual_seed(0)
    x, y = torch.randn(30, 2), torch.arange(30) % 3
    story = LabelFlip(nn.Linear(2, 3), 3)
    fitted = fit(story, (x, y), steps=[Joint(epochs=1, guide_lr=0.0)], held_out=0)
    return to_datatree(fitted, x, y, num_draws=20, num_predictive=5), fitted


pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


def test_posteriors_are_drawn_against_priors(tree, ax):
    assert plots.rate_posterior(tree[0], ax=ax) is ax
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["rate[0]", "rate[1]", "rate[2]"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["prior", "posterior"]
    with pytest.raises(StoryError, match="var_name"):
        plots.rate_posterior(tree[0], var_name="nothing", ax=ax)


def test_two_posteriors_are_drawn_side_by_side(tree, ax):
    assert plots.guide_and_chains(tree[0], tree[0], var_names=["flip_matrix"], ax=ax) is ax
    assert len(ax.get_yticklabels()) == 6  # not the diagonal


def test_matrices_and_curves(tree, ax):
    assert plots.transition_matrix(transition_matrix(tree[1]), ax=ax) is ax
    other = Figure().subplots()
    history = pd.DataFrame(
        {
            "step": ["warm-up", "joint", "joint", "joint", "joint"],
            "epoch": [0, 0, 1, 0, 1],
            "loss": [9.0, 3.0, 2.0, 2.5, 1.0],
            "held_out_loss": [9.0, 3.0, 2.5, 2.4, 2.6],
        }
    )
    assert plots.training_curve(history, ax=other) is other
    kept = [line.get_xdata()[0] for line in other.lines if line.get_linestyle() == ":"]
    assert kept == [1, 2]


def test_flags_are_drawn_by_group_and_against_the_truth(ax):
    rng = np.random.default_rng(0)
    r = rng.random(200)
    contaminated = rng.random(200) < r
    assert plots.reliability(r, contaminated, ax=ax) is ax
    other = Figure().subplots()
    by = np.where(r > 0.5, 1, 0)
    assert plots.responsibilities_by(r, by, names=["few", "many"], ax=other) is other
    labels = [label.get_text() for label in other.get_yticklabels()]
    assert labels[-1].startswith("many")  # the worst on top
    again = Figure().subplots()
    assert plots.responsibilities(r, contaminated=contaminated, ax=again) is again


def test_precision_and_recall_are_those_of_the_flags(ax):
    r = np.array([0.9, 0.8, 0.3, 0.1])
    assert plots.precision_recall(r, [True, False, True, False], ax=ax) is ax
    lines = {line.get_label(): line for line in ax.lines if "," in line.get_label()}
    at_half = {
        name: np.interp(0.5, line.get_xdata(), line.get_ydata()) for name, line in lines.items()
    }
    assert at_half == pytest.approx(
        {
            "precision, expected": 0.85,
            "recall, expected": 1.7 / 2.1,
            "precision, true": 0.5,
            "recall, true": 0.5,
        }
    )
    other = Figure().subplots()
    plots.precision_recall(np.zeros(3), ax=other)  # no row is contaminated: there is no recall
    assert len(other.get_legend().get_texts()) == 1


def test_rates_of_classes_are_one_minus_the_diagonal(tree, ax):
    estimate = transition_matrix(tree[1])
    assert plots.class_rates(tree[1], names=["ant", "bee", "c$t"], ax=ax) is ax
    drawn = dict(
        zip(
            [label.get_text() for label in ax.get_yticklabels()],
            ax.lines[0].get_xdata(),
            strict=True,
        )
    )
    expected = dict(zip(["ant", "bee", r"c\$t"], 1 - estimate.mean.diagonal(), strict=True))
    assert drawn == pytest.approx(expected)
    assert list(drawn.values()) == sorted(drawn.values(), reverse=True)
    with pytest.raises(DataError, match="no intervals"):
        plots.class_rates(np.eye(2), ax=ax)


def test_flagged_rows_have_rings_on_the_map(ax):
    rng = np.random.default_rng(0)
    r, x = np.linspace(0, 1, 30), rng.normal(size=(30, 5))
    assert plots.embedding_map(r, x, by=np.arange(30), ax=ax) is ax
    lines = {line.get_label(): line for line in ax.lines}
    assert len(lines["flagged"].get_xdata()) == 15
    assert len(lines["other groups"].get_xdata()) == 20
    other = Figure().subplots()
    plots.embedding_map(r, x[:, :2], ax=other)
    assert other.get_xlabel() == "feature 1"
    assert np.array_equal(other.lines[0].get_xdata(), x[:, 0])
    for wrong in (x[:5], x[:, :1], x[:, 0]):
        with pytest.raises(DataError, match="Features have shape"):
            plots.embedding_map(r, wrong, ax=other)


def test_maps_and_penalties(ax):
    rng = np.random.default_rng(0)
    assert plots.contamination_map(rng.random(20), rng.normal(size=(20, 2)), ax=ax) is ax
    other = Figure().subplots()
    assert plots.occam_penalty(rng.random(20), rng.random(20), ax=other) is other


def test_a_comparison_is_drawn_behind_the_best(ax):
    table = pd.DataFrame({"elpd_diff": [0.0, 9.0], "dse": [0.0, 2.0]}, index=["a", "b"])
    comparison = Comparison({}, table, np.zeros(0, dtype=int))
    assert plots.prior_comparison(comparison, ax=ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


@pytest.mark.parametrize("name", ALL_STORIES)
def test_every_story_has_a_picture(name, ax):
    make, data = ALL_STORIES[name]
    assert plots.story(make(), *data(4), ax=ax) is ax
    names = {text.get_text().split("\n")[0] for text in ax.texts}
    assert names & {"y", "label"}


@pytest.fixture(scope="module")
def sources(tree):
    """One of everything that has something to draw."""
    rng = np.random.default_rng(0)
    true = np.arange(60) % 3
    x, y = 4 * np.eye(3)[true] + rng.normal(size=(60, 3)), np.array(["ant", "bee", "c$t"])[true]
    steps = [Joint(epochs=2)]
    model = NBAMClassifier(network=nn.Linear, steps=steps, random_state=0).fit(x, y)
    probabilities = pd.DataFrame(model.predict_proba(x), columns=model.classes_)
    return {
        "fit": model.fit_,
        "estimator": model,
        "report": from_pred_probs(y, probabilities),
        "known flips": known_flips(model.fit_, x, true, share=0.2),
        "matrix": transition_matrix(model.fit_),
        "tree": tree[0],
        "array": np.full((3, 3), 1 / 3),
        "nothing": None,
        "text": "fit",
        "dates": np.array(["2020-01-01"], "M8[D]"),
        "comparison": Comparison({}, pd.DataFrame({"elpd_diff": [0.0], "dse": [0.0]}), true),
    }


TAKES = {
    "responsibilities": {"fit", "estimator", "report", "known flips", "array"},
    "reliability": {"fit", "estimator", "report", "known flips", "array"},
    "responsibilities_by": {"fit", "estimator", "report", "known flips", "array"},
    "contamination_map": {"fit", "estimator", "report", "known flips", "array"},
    "precision_recall": {"fit", "estimator", "report", "known flips", "array"},
    "embedding_map": {"fit", "estimator", "report", "known flips", "array"},
    "class_rates": {"fit", "estimator", "report", "matrix"},
    "occam_penalty": {"fit", "estimator", "report", "known flips", "array"},
    "transition_matrix": {"fit", "estimator", "report", "matrix", "array"},
    "rate_posterior": {"fit", "estimator", "report", "tree"},
    "guide_and_chains": {"fit", "estimator", "tree"},
    "prior_comparison": {"comparison"},
    "training_curve": {"fit", "estimator"},
    "story": {"fit", "estimator"},
}


def further(plot, rows):
    """What a picture needs beside its source."""
    return {
        "reliability": [np.arange(rows) % 2],
        "responsibilities_by": [["a", "b", *[None] * (rows - 2)]],
        "contamination_map": [np.ones((rows, 2))],
        "embedding_map": [np.arange(2 * rows).reshape(rows, 2)],
        "occam_penalty": [],
        "guide_and_chains": [],
    }.get(plot, [])


@pytest.mark.parametrize("plot", TAKES)
def test_a_picture_takes_what_has_the_information_and_names_it_otherwise(plot, sources):
    # `sculpting` takes scores and a nuisance, and `rate_map` a map of rates.
    assert set(plots.__all__) - {"sculpting", "rate_map"} == set(TAKES)
    for name, source in sources.items():
        rows = {"array": 9, "known flips": len(sources["known flips"].flipped)}.get(name, 60)
        arguments = [source, *further(plot, rows)]
        if plot == "occam_penalty":
            arguments = [np.ones(rows), source]
        if plot == "guide_and_chains":
            arguments = [source, source]
        ax = Figure().subplots()
        if name in TAKES[plot]:
            assert getattr(plots, plot)(*arguments, ax=ax) is ax, name
            ax.figure.canvas.draw()
        else:
            with pytest.raises(DataError) as caught:
                getattr(plots, plot)(*arguments, ax=ax)
            assert "Give " in str(caught.value), name
            assert "\n" not in str(caught.value)
            assert not ax.has_data()


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda ax: plots.responsibilities([0.5, 2.0], ax=ax), "between 0.5 and 2"),
        (lambda ax: plots.responsibilities([0.5, np.nan], ax=ax), "missing.*row 1"),
        (
            lambda ax: plots.responsibilities([0.5], contaminated=[1, 0], ax=ax),
            "it has 2 rows, but the data have 1",
        ),
        (
            lambda ax: plots.responsibilities([0.5], contaminated=["so"], ax=ax),
            "is not 1, true, 0 or false",
        ),
        (lambda ax: plots.responsibilities([0.5], contaminated=[None], ax=ax), "missing in row 0"),
        (lambda ax: plots.responsibilities_by([0.5], [1, 2], ax=ax), "must agree"),
        (lambda ax: plots.responsibilities_by([0.5], ["x"], names=["a"], ax=ax), "positions"),
        (lambda ax: plots.responsibilities_by([0.5], [3], names=["a"], ax=ax), "positions"),
        (lambda ax: plots.reliability([0.5], ax=ax), "needs the truth"),
        (lambda ax: plots.reliability([0.5], [True], bins=0, ax=ax), "bins is 0"),
        (lambda ax: plots.contamination_map([0.5], [[1, 2, 3]], ax=ax), r"expected \(1, 2\)"),
        (lambda ax: plots.occam_penalty([1, 2], [0.5], ax=ax), "must agree"),
        (lambda ax: plots.transition_matrix(np.ones((2, 3)), ax=ax), "shape"),
        (lambda ax: plots.transition_matrix(np.eye(2), names=["a"], ax=ax), "1 names for 2"),
        (lambda ax: plots.training_curve(pd.DataFrame({"loss": [1]}), ax=ax), "'step', 'epoch'"),
        (lambda ax: plots.story(LabelFlip(nn.Linear(2, 3), 3), ax=ax), "rows x"),
        (
            lambda ax: plots.story(LabelFlip(nn.Linear(2, 3), 3), np.ones((2, 9)), [0, 1], ax=ax),
            "cannot be run",
        ),
        (lambda ax: plots.story(LabelFlip, np.ones((2, 2)), [0, 1], ax=ax), "class of a story"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, says, ax):
    with pytest.raises(DataError, match=says) as caught:
        draw(ax)
    assert "\n" not in str(caught.value)


def test_other_containers_are_drawn_as_arrays():
    r = [0.1, 0.9, 0.5]
    for values in (
        r,
        torch.tensor(r, requires_grad=True),
        pl.Series(r),
        pd.Series(r, dtype="Float64"),
    ):
        for contaminated in ([False, True, True], pl.Series([0, 1, 1]), np.array([0.0, 1.0, 1.0])):
            plots.responsibilities(values, contaminated=contaminated, ax=Figure().subplots())
            plots.reliability(values, contaminated, ax=Figure().subplots())


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_bars_of_reliability_stay_within_0_and_1(share, ax):
    rng = np.random.default_rng(0)
    r = rng.random(50)
    plots.reliability(r, rng.random(50) < share, ax=ax)
    bars = np.concatenate(ax.collections[0].get_segments())[:, 1]
    assert bars.min() >= 0
    assert bars.max() <= 1
    assert np.ptp(bars) > 0.1  # a share of 0 or 1 of few rows is not certain


@pytest.mark.parametrize("k", [2, 10, 25])
def test_matrices_have_their_numbers_in_the_cells(k, ax):
    matrix = np.full((k, k), 0.3 / (k - 1)) + np.eye(k) * (0.7 - 0.3 / (k - 1))
    plots.transition_matrix(matrix, names=range(k), ax=ax)
    texts = [text.get_text() for text in ax.texts]
    assert len(texts) == k * k
    assert texts.count("0.70") == k


def test_names_of_an_estimator_and_a_report_are_those_of_their_classes(sources):
    for source in (sources["estimator"], sources["report"]):
        for plot in (plots.transition_matrix, plots.rate_posterior):
            ax = plot(source, ax=Figure().subplots())
            assert "ant" in "".join(label.get_text() for label in ax.get_yticklabels())


@pytest.mark.parametrize("size", [(2, 1.6), (6, 5)])
def test_every_dependency_has_an_arrow_that_can_be_seen(size):
    figure = Figure(figsize=size)
    make, data = ALL_STORIES["label_flip"]
    ax = plots.story(make(), *data(4), ax=figure.subplots())
    canvas = FigureCanvasAgg(figure)

    def pixels():
        canvas.draw()
        return np.asarray(canvas.buffer_rgba()).copy()

    whole = pixels()
    arrows = [text for text in ax.texts if isinstance(text, Annotation)]
    assert len(arrows) == 5  # rate, true label -> switch; true label, switch, flip -> y
    for arrow in arrows:
        arrow.set_visible(False)
        assert (pixels() != whole).any(-1).sum() > 15
        arrow.set_visible(True)


def test_a_story_is_drawn_in_threads(sources):
    model = sources["fit"]
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: plots.story(model, ax=Figure().subplots()), range(12)))
    assert len({tuple(text.get_text() for text in ax.texts) for ax in drawn}) == 1
