"""The parts of the label-noise benchmark: data, training, figures, methods."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from torch import nn

from benchmarks.label_noise import figures, images, losses, problems, pruning
from benchmarks.label_noise.figures import Outcome
from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.nbam import LastEpoch
from benchmarks.label_noise.training import Batches, Task, probabilities, train
from nbam_pyro import LabelFlip, fit
from nbam_pyro.data import Contaminated
from nbam_pyro.errors import DataError
from nbam_pyro.inference import CrossFit, Joint, Spread, WarmUp


def digits(epochs=1, **changes):
    return replace(problems.DATASETS["digits"], train_size=200, epochs=epochs, **changes)


def task(kind="asymmetric", rate=0.4, **changes):
    data = digits(**changes)
    problem = problems.make_problem(data, kind, rate=rate, seed=0, root=None)
    return Task(problem=problem, data=data, seed=0, device=torch.device("cpu"))


class TestProblems:
    @pytest.mark.parametrize("kind", problems.KINDS)
    def test_every_kind_of_noise(self, kind):
        data = digits()
        problem = problems.make_problem(data, kind, rate=0.4, seed=3, root=None)
        assert problem.x.shape == (200, 64)
        assert problem.held_out.sum() == 33
        assert len(problem.y_test) == 540
        assert 0 < problem.labels.rate < 0.5
        np.testing.assert_allclose(problem.matrix.sum(1), 1)
        again = problems.make_problem(data, kind, rate=0.4, seed=3, root=None)
        np.testing.assert_array_equal(problem.labels.observed, again.labels.observed)

    @pytest.mark.parametrize(
        ("kind", "rate", "total", "unresolvable"),
        [
            ("asymmetric", 0.6, 5, [5, 6]),
            ("asymmetric", 0.5, 5, []),
            ("asymmetric", 0.0, 0, []),
            ("pair", 0.6, 10, []),
            ("symmetric", 0.6, None, []),
            ("local", 0.6, None, []),
        ],
    )
    def test_what_there_is_to_find(self, kind, rate, total, unresolvable):
        problem = problems.make_problem(digits(), kind, rate=rate, seed=0, root=None)
        directions = problem.directions
        assert (directions if directions is None else len(directions)) == total
        assert np.flatnonzero(~problem.resolvable).tolist() == unresolvable

    @pytest.mark.parametrize("size", [50, 1258])
    def test_sizes_that_there_are_not(self, size):
        data = replace(digits(), train_size=size)
        with pytest.raises(DataError, match="there are 1257 rows"):
            problems.make_problem(data, "pair", rate=0.1, seed=0, root=None)

    def test_images_are_standardised_by_their_training_part(self, monkeypatch):
        x = np.random.default_rng(0).random((40, 3, 8, 8), dtype=np.float32)
        parts = {True: (x, np.arange(40) % 10), False: (x[:5] + 1, np.arange(5))}
        monkeypatch.setattr(
            problems, "torchvision_data", lambda name, root, *, train=True: parts[train]
        )
        clean = problems.DATASETS["cifar10"].load(0, "root")
        np.testing.assert_allclose(clean.x.mean((0, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(clean.x.std((0, 2, 3)), 1, atol=1e-5)
        assert clean.x_test.mean() > 1


class TestImages:
    @pytest.mark.parametrize(
        ("make", "shape"),
        [
            (images.augmented_cnn, (1, 28, 28)),
            (images.augmented_resnet, (3, 32, 32)),
            (images.augmented_cnn8, (3, 32, 32)),
        ],
    )
    def test_networks_are_a_trunk_and_a_head(self, make, shape):
        network = make()
        x = torch.randn(3, *shape)
        assert network(x).shape == (3, 10)
        assert network[:-1](x).shape == (3, network[-1].in_features)
        assert not torch.equal(network(x), network(x))
        network.eval()
        torch.testing.assert_close(network(x), network(x))

    def test_crops_are_shifted_by_at_most_the_padding_and_mirrored(self):
        x = torch.arange(1.0, 31.0).reshape(1, 1, 5, 6).expand(200, 2, 5, 6)
        layer = images.CropAndFlip(2)
        padded = nn.functional.pad(x[0], [2] * 4)
        crops = [padded[:, i : i + 5, j : j + 6] for i in range(5) for j in range(5)]
        crops += [crop.flip(-1) for crop in crops]
        possible = {tuple(crop.flatten().tolist()) for crop in crops}
        seen = {tuple(image.flatten().tolist()) for image in layer(x)}
        assert seen <= possible
        assert len(seen) > 40
        assert layer.eval()(x) is x


class TestTraining:
    def test_batches_cover_the_chosen_rows_once(self):
        chosen = np.arange(10) != 4
        batches = Batches(torch.arange(10), torch.arange(10), chosen, 4, shuffle=True)
        # The last row would be alone in its batch.
        assert [len(batch.rows) for batch in batches] == [4, 4]
        assert len(batches) == 2
        in_order = Batches(torch.arange(10), torch.arange(10), chosen, 4)
        assert torch.cat([b.rows for b in in_order]).tolist() == np.flatnonzero(chosen).tolist()
        assert len(in_order) == 3

    def test_the_selected_epoch_is_the_best_on_noisy_validation_rows(self):
        one = task(epochs=4)
        seen = []

        def loss(logits, labels, rows):
            seen.append(rows)
            return nn.functional.cross_entropy(logits, labels)

        trained = train(one, loss)
        held_out = one.problem.held_out
        assert not held_out[torch.cat(seen).numpy()].any()
        observed = one.problem.labels.observed[held_out]
        by_epoch = [
            (probabilities(one, network, one.problem.x[held_out]).argmax(1) == observed).mean()
            for network in (trained.network, trained.at_last())
        ]
        assert by_epoch[0] >= by_epoch[1]

    def test_one_cycle_steps_every_batch(self):
        trained = train(task(one_cycle=True, epochs=2), losses.averaged(losses.cross_entropy))
        assert all(p.isfinite().all() for p in trained.network.parameters())


class TestFigures:
    def problem(self, observed, contaminated, clean, resolvable=(True, True)):
        return problems.Problem(
            x=np.zeros((len(clean), 1)),
            labels=Contaminated(np.array(clean), np.array(observed), np.array(contaminated)),
            held_out=np.zeros(len(clean), bool),
            x_test=np.zeros((2, 1)),
            y_test=np.array([0, 1]),
            matrix=np.array([[0.5, 0.5], [0.0, 1.0]]),
            directions=frozenset({(0, 1)}),
            resolvable=np.array(resolvable),
        )

    def test_every_figure(self):
        problem = self.problem([0, 1, 1, 1], [False, True, False, False], [0, 0, 1, 1])
        outcome = Outcome(
            flags=np.array([0.0, 0.8, 0.1, 0.9]),
            last=np.array([[0.9, 0.1], [0.9, 0.1]]),
            selected=np.array([[0.9, 0.1], [0.1, 0.9]]),
            rate=0.3,
            matrix=np.array([[0.6, 0.4], [0.2, 0.8]]),
        )
        found = figures.figures(problem, outcome)
        assert found["accuracy_last"] == 0.5
        assert found["accuracy_selected"] == found["accuracy_resolvable"] == 1.0
        assert found["auroc"] == pytest.approx(2 / 3)
        assert found["auroc_within_label"] == pytest.approx(1 / 2)
        assert found["average_precision"] == pytest.approx(1 / 2)
        assert found["brier"] == pytest.approx((0.04 + 0.01 + 0.81) / 4)
        assert found["ece"] == pytest.approx((0.0 + 0.2 + 0.1 + 0.9) / 4)
        assert found["transition_error"] == pytest.approx((0.1 + 0.2) / 2)
        assert (found["directions_found"], found["directions_false"]) == (1, 1)
        assert (found["rate_true"], found["rate_estimate"]) == (0.25, 0.3)

    def test_resolvable_leaves_out_rows_by_their_true_class(self):
        problem = self.problem(
            [0, 1, 1, 0], [False, True, False, True], [0, 0, 1, 1], resolvable=[True, False]
        )
        outcome = Outcome(
            flags=np.array([0.1, 0.9, 1.0, 0.0]), selected=np.array([[0.9, 0.1], [0.9, 0.1]])
        )
        found = figures.figures(problem, outcome)
        assert (found["auroc"], found["auroc_resolvable"]) == (0.25, 1.0)
        assert (found["accuracy_selected"], found["accuracy_resolvable"]) == (0.5, 1.0)
        assert found["brier_resolvable"] == pytest.approx(0.01)
        assert found["average_precision_resolvable"] == 1.0
        assert found["ece_resolvable"] == pytest.approx(0.1)

    def test_undefined_is_none(self):
        problem = self.problem([0, 0, 1, 1], [False] * 4, [0, 0, 1, 1], resolvable=[False, False])
        found = figures.figures(problem, Outcome(flags=np.full(4, 0.2)))
        undefined = {name for name, value in found.items() if value is None}
        assert undefined >= {"auroc", "auroc_within_label", "average_precision", "accuracy_last"}
        assert undefined >= {"brier_resolvable", "ece_resolvable", "rate_estimate"}
        assert "transition_error" in undefined
        assert found["brier"] == pytest.approx(0.04)
        assert found["ece"] == pytest.approx(0.2)

    def test_auroc_within_label_counts_pairs(self):
        rng = np.random.default_rng(0)
        observed, truth = rng.integers(3, size=300), rng.random(300) < 0.3
        flags = rng.random(300) + 0.3 * truth
        pairs = [
            (flags[i] > flags[j])
            for i in np.flatnonzero(truth)
            for j in np.flatnonzero(~truth)
            if observed[i] == observed[j]
        ]
        value = figures.auroc_within_label(truth, flags, observed)
        assert value == pytest.approx(np.mean(pairs))
        alike = figures.auroc_within_label(truth, flags, np.zeros(300))
        assert alike == pytest.approx(roc_auc_score(truth, flags))
        # What the label alone tells is worth nothing within it.
        assert figures.auroc_within_label(truth, observed / 3, observed) == 0.5

    def test_directions_are_the_largest_of_their_row_above_a_twentieth(self):
        matrix = np.array([[0.9, 0.06, 0.04], [0.03, 0.93, 0.04], [0.5, 0.3, 0.2]])
        assert figures.named_directions(matrix) == {(0, 1), (2, 0)}


def test_cleanlab_gets_a_classifier_of_row_numbers():
    one = task()
    classifier = pruning.RowClassifier(one)
    assert clone(classifier).task is one
    rows = np.arange(0, 200, 2)[:, None]
    classifier.fit(rows, None, sample_weight=np.ones(100))
    assert classifier.predict_proba(rows).shape == (100, 10)
    assert classifier.predict(rows).max() < 10


def test_cleanlab():
    pytest.importorskip("cleanlab")
    one = task(epochs=2)
    outcome = METHODS["cleanlab"](one)
    assert outcome.flags.shape == (200,)
    np.testing.assert_allclose(outcome.matrix.sum(1), 1)
    assert 0 <= outcome.rate <= 1


def test_label_only_is_calibrated_and_blind_within_labels():
    one = task()
    outcome = METHODS["label_only"](one)
    found = figures.figures(one.problem, outcome)
    assert found["auroc_within_label"] == 0.5
    assert outcome.flags.mean() == pytest.approx(one.problem.labels.rate)


# One epoch is too few for a sound fit, and a fit that says so is right.
@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
@pytest.mark.parametrize("method", ["nbam", "nbam_local", "nbam_literal"])
def test_our_methods(method):
    outcome = METHODS[method](task())
    assert outcome.flags.shape == (200,)
    assert outcome.rate == pytest.approx(outcome.flags.mean())
    for predicted in (outcome.last, outcome.selected):
        np.testing.assert_allclose(predicted.sum(1), 1, rtol=1e-5)


def test_the_last_epoch_is_that_of_the_last_run_that_trained_the_network():
    y = torch.arange(60) % 3
    x = 5.0 * nn.functional.one_hot(y, 4)
    network = nn.Linear(4, 3)
    last = LastEpoch(network)
    joint, spread = Joint(epochs=3, lr=0.1), Spread(epochs=1)
    cross = CrossFit(folds=2, warm_up=WarmUp(epochs=9, lr=0.1), epochs=3, rounds=1, lr=0.1)
    steps = [WarmUp(epochs=2), cross, joint, spread]
    # Without held-out rows the last epoch stays.
    story = LabelFlip(network, 3)
    fit(story, (x, y), steps=steps, held_out=0, trainer={"callbacks": [last]})
    assert last.network is not network
    torch.testing.assert_close(last.network.state_dict(), network.state_dict())
