"""Detectors: contracts of backbones and assignments, the interface, what is refused."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import normalize

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    Blind,
    DeepSVDD,
    Energies,
    Exact,
    GaussianMixture,
    Hard,
    InternalContrast,
    NeuralTransformations,
    Refine,
    Rotations,
    Soft,
    UnifiedObjective,
    Weights,
    train_objective,
)
from nbam_pyro.detection.backbones.neural_transformations import log_not
from nbam_pyro.detection.rate_estimates import (
    CANDIDATES,
    agreement,
    estimate_rate,
    likely_rate,
    shares_below,
)
from nbam_pyro.detection.training import Prior, check_energies, energies_of
from nbam_pyro.detection.unified.objective import SAD, SVDD
from nbam_pyro.errors import DataError, StoryError

TABULAR = [NeuralTransformations, InternalContrast, DeepSVDD, AutoEncoder, GaussianMixture]
ASSIGNMENTS = [Blind(), Refine(), Hard(), Soft(), Exact()]
energy = st.lists(st.floats(-5, 5), min_size=2, max_size=12)


def rows(n=160, share=0.1, seed=0):
    """Rows on a plane in five dimensions, and some that are not on it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5)) + 0.05 * rng.normal(size=(n, 5))
    odd = np.arange(n) < round(share * n)
    x[odd] = rng.normal(size=(odd.sum(), 5)) * 1.5
    return x.astype(np.float32), odd


@pytest.mark.parametrize("make", TABULAR)
def test_a_backbone_has_two_energies_for_every_row_of_every_member(make):
    torch.manual_seed(0)
    x = torch.rand(2, 40, 5)
    backbone = make(5, members=2)
    backbone.start(x)
    first = backbone.energies(x)
    assert all(part.shape == (2, 40) and part.isfinite().all() for part in first)
    assert first.clean.std() > 0
    same = x[:1].expand(2, -1, -1)
    backbone.start(same)
    assert not torch.equal(*backbone.energies(same).clean)
    backbone.start(x)
    first = backbone.energies(x)
    first.clean[1].sum().backward()  # members have nothing in common
    for parameter in backbone.parameters():
        assert not parameter.grad[0].any()
    other = torch.cat([x[:1], torch.rand(1, 40, 5)])
    assert torch.allclose(backbone.energies(other).clean[0], first.clean[0])


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("assignment", [Blind(), Refine(), Hard(), Soft()])
def test_a_detector_never_gives_all_rows_one_score(make, assignment):
    x, _ = rows()
    detector = AnomalyDetector(
        make, assignment=assignment, contamination=0.1, epochs=5, random_state=0
    ).fit(x)
    assert np.ptp(detector.decision_scores_) > 0
    assert detector.labels_.mean() == pytest.approx(0.1, abs=0.01)
    again = clone(detector).fit(x)
    assert np.array_equal(again.decision_scores_, detector.decision_scores_)
    assert np.allclose(detector.decision_function(x), detector.decision_scores_)


def test_size_counts_and_one_feature_is_enough():
    """Without any bias, the energies of NTL would be those of the direction alone."""
    rng = np.random.default_rng(0)
    detector = AnomalyDetector(contamination=0.05, epochs=40, random_state=0)
    detector.fit(rng.uniform(1, 2, (300, 4)))
    usual, odd = rng.uniform(1, 2, (100, 4)), rng.uniform(1, 2, (20, 4))
    for factor in (0.2, 5.0):
        scores = detector.decision_function(np.r_[usual, factor * odd])
        assert roc_auc_score(np.arange(120) >= 100, scores) > 0.9
    single = rng.normal(size=(100, 1))
    scores = AnomalyDetector(contamination=0.1, epochs=2).fit(single).decision_scores_
    assert np.ptp(scores) > 1e-3


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("huge", [1e22, -1e39])
def test_a_huge_value_is_an_anomaly_and_spoils_nothing(make, huge):
    x = rows()[0].astype(float)
    x[0, 0] = huge
    detector = AnomalyDetector(make, contamination=0.1, epochs=2, random_state=0).fit(x)
    assert np.isfinite(detector.decision_scores_).all()
    assert np.isfinite(detector.decision_function(x)).all()
    assert detector.labels_.sum() == 16


def test_warm_up_takes_at_most_half_of_the_epochs():
    x, _ = rows()
    scores = [
        AnomalyDetector(
            AutoEncoder, assignment=one, contamination=0.3, epochs=2, warm_up=2, random_state=0
        )
        .fit(x)
        .decision_scores_
        for one in (Blind(), Hard())
    ]
    assert not np.array_equal(*scores)


def test_rotations_have_36_views():
    torch.manual_seed(0)
    backbone = Rotations(1, width=4)
    images = torch.rand(3, 1, 12, 12)
    views = backbone._views(images)
    assert views.shape == (36, 3, 1, 12, 12)
    middle = views[4::9]  # without a shift
    assert all(torch.equal(middle[k], torch.rot90(images, k, (-2, -1))) for k in range(4))
    detector = AnomalyDetector(Rotations, contamination=0.1, epochs=1, batch_size=8, random_state=0)
    assert np.ptp(detector.fit(images.repeat(4, 1, 1, 1).numpy()).decision_scores_) > 0
    pair = Rotations(1, members=2, width=4).energies(images.expand(2, *images.shape))
    assert not torch.equal(*pair.clean)


@given(energy, st.floats(-3, 3), st.sampled_from(ASSIGNMENTS))
def test_the_gradient_of_the_loss_is_the_weights(values, logit, assignment):
    clean = torch.tensor(values, requires_grad=True)
    anomalous = torch.tensor(values[::-1]).sin().requires_grad_()
    found = assignment(torch.tensor(logit), Energies(clean, anomalous))
    found.loss.backward()
    counted = (found.clean + found.anomalous > 0).sum().clamp_min(1)
    assert torch.allclose(clean.grad, found.clean / counted, atol=1e-5)
    assert torch.allclose(anomalous.grad, found.anomalous / counted, atol=1e-5)
    assert ((found.clean >= 0) & (found.anomalous >= 0)).all()


@given(energy, st.floats(0, 0.5))
def test_as_many_are_assigned_as_the_prior_expects(values, rate):
    pair = Energies(torch.tensor(values), -torch.tensor(values))
    prior = Prior([rate]).logit[0]
    assert Hard()(prior, pair).anomalous.sum() == round(torch.sigmoid(prior).item() * len(values))
    if rate == 0:
        assert Soft()(prior, pair).loss == Blind()(prior, pair).loss


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_what_is_observed_stays(assignment):
    pair = Energies(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0]))
    found = assignment(torch.tensor(-1.0), pair, torch.tensor([1, 0, 0]))
    assert found.anomalous.tolist() == [1, 0, 0]
    assert found.clean.tolist() == [0, 1, 1]


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_the_exact_loss_of_observed_rows_is_their_joint(weight):
    """Its gradients are the weights: eta for what is known, the posterior for what is not."""
    clean = torch.tensor([0.3, 1.0, 2.0], dtype=torch.double, requires_grad=True)
    anomalous = torch.tensor([1.5, 0.2, 2.5], dtype=torch.double, requires_grad=True)
    logit = torch.tensor(-1.0, dtype=torch.double, requires_grad=True)
    observed = torch.tensor([0, 1, -1])
    pair = Energies(clean, anomalous)
    found = Exact(label_weight=weight)(logit, pair, observed)
    pi = logit.sigmoid()
    by_hand = (
        weight * ((1 - pi).log() - clean[0])
        + weight * (pi.log() - anomalous[1])
        + ((1 - pi) * (-clean[2]).exp() + pi * (-anomalous[2]).exp()).log()
    )
    torch.testing.assert_close(found.loss, -by_hand / 3)
    gradients = torch.autograd.grad(found.loss, [clean, anomalous, logit])
    torch.testing.assert_close(gradients[0], found.clean / 3)
    torch.testing.assert_close(gradients[1], found.anomalous / 3)
    torch.testing.assert_close(gradients[2], torch.autograd.grad(-by_hand / 3, logit)[0])


def test_known_normal_rows_take_no_place_of_anomalies():
    values = torch.arange(10.0)
    told = torch.full((10,), -1)
    told[8:] = 0  # the two highest are known to be normal
    found = Hard()(torch.tensor(0.2).logit(), Energies(values, -values), told)
    assert found.anomalous.nonzero().flatten().tolist() == [6, 7]
    told[0] = 1
    found = Hard()(torch.tensor(0.2).logit(), Energies(values, -values), told)
    assert found.anomalous.nonzero().flatten().tolist() == [0, 7]


@torch.no_grad()
def test_energies_are_those_of_the_formulas():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 5)
    ntl = NeuralTransformations(5, transforms=4)
    views = ntl.views(x[:, None]) + x[:, None]
    z = [normalize(ntl.encoder(part[None])[0], dim=-1) for part in (x[0], *views[0])]
    for i in range(3):
        p = []
        for k in range(1, 5):
            h = [float((z[k][i] @ other[i] / 0.1).exp()) for other in z]
            p.append(h[0] / (sum(h) - h[k]))
        pair = ntl.energies(x)
        assert pair.clean[0, i].item() == pytest.approx(-np.log(p).mean() / np.log(4), rel=1e-3)
        expected = -np.log(1 - np.array(p)).mean() / np.log(4)
        assert pair.anomalous[0, i].item() == pytest.approx(expected, rel=1e-3)
    icl = InternalContrast(5, window=2, temperature=0.5)
    windows = [x[..., k : k + 2] for k in range(4)]
    rests = [torch.cat([x[..., :k], x[..., k + 2 :]], -1) for k in range(4)]
    f = [normalize(icl.inside(part)[0], dim=-1) for part in windows]
    g = [normalize(icl.outside(part)[0], dim=-1) for part in rests]
    for i in range(3):
        h = np.array([[float((a[i] @ b[i] / 0.5).exp()) for b in g] for a in f])
        p = h.diagonal() / h.sum(1)
        assert icl.energies(x).clean[0, i].item() == pytest.approx(-np.log(p).mean(), rel=1e-3)
        expected = -np.log(1 - p).mean()
        assert icl.energies(x).anomalous[0, i].item() == pytest.approx(expected, rel=1e-3)


def test_labels_weigh_eta():
    pair = Energies(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0]))
    told = torch.tensor([-1, 1])
    assert Blind(label_weight=2.0)(torch.tensor(0.0), pair, told).loss == (1 + 2 * 5) / 2
    with pytest.raises(DataError, match="label_weight"):
        Blind(label_weight=0.0)


@given(st.integers(2, 6), st.integers(0, 99))
def test_log_not_is_the_log_of_one_minus_p(count, seed):
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(count, count, generator=generator, dtype=torch.double).log_softmax(-1)
    assert torch.allclose(log_not(log_p), torch.log1p(-log_p.diagonal().exp()))


def test_both_energies_of_a_mixture_are_densities():
    torch.manual_seed(0)
    x = torch.randn(1, 200, 1, dtype=torch.double) * 2 + 5
    backbone = GaussianMixture(1, components=3).double()
    backbone.start(x)
    with torch.no_grad():
        backbone.precision.normal_(std=0.3)
        backbone.weight.normal_()
        grid = torch.linspace(-60, 70, 40001, dtype=torch.double)[None, :, None]
        for part in backbone.energies(grid):
            assert torch.trapezoid((-part[0]).exp(), grid[0, :, 0]) == pytest.approx(1, abs=1e-5)


def test_a_posterior_and_a_learned_rate_need_densities():
    x, odd = rows()
    exact = AnomalyDetector(
        functools.partial(GaussianMixture, components=2),
        assignment=Exact(),
        contamination="auto",
        epochs=100,
        lr=3e-3,
        random_state=0,
    ).fit(x)
    assert roc_auc_score(odd, exact.decision_scores_) > 0.95
    assert 0.03 < exact.contamination_ < 0.25
    with pytest.raises(StoryError, match="units of their own"):
        AnomalyDetector(assignment=Exact()).fit(x)
    with pytest.raises(StoryError, match="cannot learn how many"):
        check_energies(DeepSVDD(5), Soft(), learned=True)


def test_labelled_rows_make_it_deep_sad():
    x, odd = rows(share=0.2)
    observed = np.where(np.arange(len(x)) % 3 == 0, odd, -1)
    settings = {"assignment": Blind(), "epochs": 60, "lr": 3e-3}
    settings |= {"random_state": 0, "contamination": 0.1}
    others = observed == -1
    softly = AnomalyDetector(DeepSVDD, **settings).fit(x, observed=observed).decision_scores_
    assert roc_auc_score(odd[others], softly[others]) > 0.95
    published = functools.partial(DeepSVDD, far="inverse")
    alone = AnomalyDetector(published, **settings).fit(x).decision_scores_
    told = AnomalyDetector(published, **settings).fit(x, observed=observed).decision_scores_
    assert roc_auc_score(odd[others], told[others]) > 0.95
    apart = [np.mean(s[odd & others]) / np.mean(s[~odd & others]) for s in (told, alone)]
    assert apart[0] > apart[1]
    for wrong in (observed[:3], observed + 5):
        with pytest.raises(DataError, match="observed"):
            AnomalyDetector(DeepSVDD).fit(x, observed=wrong)


def test_conventions_of_pyod_and_of_scikit_learn():
    x, _ = rows()
    detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=5, members=2, random_state=0)
    assert detector.fit_predict(x).tolist() == detector.labels_.tolist()
    assert detector.predict(x).tolist() == detector.labels_.tolist()
    labels, confidence = detector.predict(x, return_confidence=True)
    assert labels.shape == confidence.shape == (160,)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    # By Perini et al.: more than n - k of n rows that are drawn again lie below it.
    scores, train = detector.decision_function(x), detector.decision_scores_
    n, k = len(train), round(len(train) * detector.contamination_)
    below = (1 + (train[:, None] <= scores).sum(0)) / (2 + n)
    outlier = binom.sf(n - k, n, below)
    np.testing.assert_allclose(confidence, np.where(labels == 1, outlier, 1 - outlier), atol=1e-9)
    for method in ("linear", "unify"):
        probs = detector.predict_proba(x, method=method)
        assert probs.shape == (160, 2)
        assert np.allclose(probs.sum(1), 1)
        assert probs[:, 1].argmax() == detector.decision_scores_.argmax()
    with pytest.raises(DataError, match="method"):
        detector.predict_proba(x, method="guess")
    view = make_pipeline(StandardScaler(), clone(detector).as_sklearn()).fit(x)
    assert set(view.predict(x)) == {-1, 1}
    assert ((view.decision_function(x) < 0) == (view.predict(x) == -1)).all()
    assert np.array_equal(view.score_samples(x) < view[-1].offset_, view.predict(x) == -1)


def test_members_are_averaged():
    x, _ = rows()
    detector = AnomalyDetector(DeepSVDD, contamination=0, epochs=2, members=3).fit(x)
    by_member = detector.energies(x).clean
    assert by_member.shape == (3, 160)
    assert np.allclose(by_member.mean(0), detector.decision_scores_)
    parts = energies_of(detector.backbone_, torch.rand(3, 10, 5), size=3)
    assert parts.clean.shape == (3, 10)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"contamination": 0.7}, "contamination"),
        ({"contamination": "some"}, "contamination"),
        ({"scale": "log"}, "scale"),
        ({"contamination": None}, "contamination"),
        ({"members": 0}, "members"),
        ({"batch_size": 0}, "batch_size"),
        ({"lr": -1.0}, "lr"),
        ({"epochs": 1.5}, "epochs is 1.5; give a whole number"),
        ({"warm_up": "some"}, "warm_up"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"backbone": functools.partial(NeuralTransformations, transforms=1)}, "transforms"),
        ({"backbone": Rotations}, "takes rows of 3"),
    ],
)
def test_settings_that_make_no_sense(settings, match):
    with pytest.raises(DataError, match=match):
        AnomalyDetector(**settings).fit(rows()[0])


def test_rows_that_cannot_be_used():
    x, _ = rows()
    detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=1).fit(x)
    for bad in (x[:, :3], np.full_like(x, np.nan), x[0]):
        with pytest.raises(DataError):
            detector.decision_function(bad)
    with pytest.raises(DataError, match="takes rows of 1"):
        AnomalyDetector().fit(np.zeros((4, 1, 6, 6)))
    with pytest.raises(DataError, match="squares"):
        AnomalyDetector(Rotations, epochs=1).fit(np.zeros((4, 1, 6, 7)))
    with pytest.raises(DataError, match="cannot be shifted"):
        AnomalyDetector(Rotations, epochs=1).fit(np.zeros((4, 1, 1, 1)))
    with pytest.raises(DataError, match="contamination is 0"):
        AnomalyDetector(GaussianMixture, assignment=Exact(), contamination=0).fit(
            x, observed=np.arange(len(x)) < 3
        )
    with pytest.raises(DataError, match="not finite"):
        AnomalyDetector(contamination=0.1, epochs=1, scale=None).fit(x * np.float32(1e30))
    with pytest.raises(DataError, match="at least 3"):
        AnomalyDetector(InternalContrast).fit(x[:, :2])
    with pytest.raises(DataError, match="leaves no other"):
        InternalContrast(4, window=4)
    with pytest.raises(DataError, match="rates of anomalies"):
        Prior([1.0])


def agreeing(rate, members=4, n=400, noise=0.3):
    """Scores of members that agree which rows are the anomalies, and on nothing else."""
    generator = torch.Generator().manual_seed(0)
    odd = torch.arange(n) < round(rate * n)
    told = np.repeat(CANDIDATES, members)
    score = torch.where(odd, 2.0, 0.0) + noise * torch.randn(len(told), n, generator=generator)
    return Energies(score, -score), told


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_the_rate_is_that_at_which_members_agree(rate):
    found = estimate_rate(*agreeing(rate))
    assert found.rate == rate
    assert found.low <= rate <= found.high
    assert list(found.agreement.index) == sorted(CANDIDATES)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), count=st.integers(0, 100))
def test_the_rate_of_densities_that_do_not_overlap_is_that_of_counting(seed, count):
    odd = torch.from_numpy(np.random.default_rng(seed).permutation(200) < count)
    pair = Energies(torch.where(odd, 50.0, 0.0)[None], torch.where(odd, 0.0, 50.0)[None])
    found = likely_rate(pair)
    exact = beta(count + 1, 200 - count + 1)  # under a uniform prior up to 1/2
    low, high = exact.ppf(np.array([0.05, 0.95]) * exact.cdf(0.5))
    assert found.low == pytest.approx(low, abs=2e-3)
    assert found.high == pytest.approx(high, abs=2e-3)
    assert found.low < found.rate < found.high
    # Rows that are known say the same as rows that are plain.
    known = likely_rate(Energies(torch.zeros(1, 200), torch.zeros(1, 200)), odd.long())
    assert known.rate == pytest.approx(found.rate, abs=1e-3)


def test_without_agreement_the_rate_is_none():
    found = estimate_rate(*agreeing(0.0))
    assert (found.rate, found.low, found.high) == (0.0, 0.0, 0.5)


def test_an_agreement_that_grows_to_the_last_says_nothing():
    score = torch.arange(400.0).expand(12, 400) + 20 * torch.randn(12, 400)
    found = estimate_rate(Energies(score, -score), np.repeat([0.1, 0.2, 0.3], 4))
    assert found.agreement["mean"].is_monotonic_increasing
    assert found.rate == 0.0


def test_rows_that_are_known_are_no_agreement():
    """Members agree on ten known anomalies and on nothing else."""
    torch.manual_seed(0)
    known = torch.full((200,), -1)
    known[:10] = 1
    score = torch.rand(6, 200) + 5 * (known == 1)
    energies, rates = Energies(score, -score), np.repeat([0.02, 0.05, 0.1], 2)
    assert estimate_rate(energies, rates).rate == 0.05
    found = estimate_rate(energies, rates, known)
    assert found.rate == 0.0
    assert found.agreement["mean"].loc[[0.02, 0.05]].eq(0).all()
    # Ten more that they do agree on are found beside the known ones.
    more = score + 5 * (torch.arange(200) < 20)
    assert estimate_rate(Energies(more, -more), np.repeat([0.05, 0.1, 0.2], 2), known).rate == 0.1


@given(st.integers(0, 99), st.sampled_from([0.1, 0.3]))
def test_kappa_is_0_by_chance_and_1_for_the_same(seed, rate):
    generator = torch.Generator().manual_seed(seed)
    score = torch.rand(6, 400, generator=generator)
    assert agreement(Energies(score, -score), rate).mean() == pytest.approx(0, abs=0.15)
    same = score[:1].expand(2, 400)
    assert agreement(Energies(same, -same), rate) == pytest.approx([1.0])


def test_agreement_takes_several_members_and_rates():
    score = torch.rand(2, 20)
    for rates in ([0.1, 0.1], [0.1, 0.2]):
        with pytest.raises(DataError, match="two or more"):
            estimate_rate(Energies(score, -score), np.array(rates))


def test_a_rate_that_is_not_known_is_averaged_over():
    x, odd = rows(share=0.15)
    detector = AnomalyDetector(AutoEncoder, epochs=60, lr=3e-3, random_state=0).fit(x)
    assert len(detector.rates_) == 3 * len(CANDIDATES)
    assert detector.contamination_ == detector.rate_.rate
    found = detector.contamination_
    trusted = detector.rates_ == found if found else detector.rates_ <= 0.1
    clean = detector.energies(x).clean[torch.as_tensor(trusted)]
    expected = shares_below(clean.sort().values, clean).mean(0)
    assert np.allclose(detector.decision_scores_, expected)
    assert roc_auc_score(odd, detector.decision_scores_) > 0.7
    assert detector.labels_.mean() <= detector.contamination_ + 0.01


def test_large_numbers_keep_their_differences():
    x, _ = rows()
    near, far = x.astype(float), x.astype(float) + 1e9
    settings = {"contamination": 0.1, "epochs": 2, "random_state": 0}
    scores = [AnomalyDetector(**settings).fit(part).decision_scores_ for part in (near, far)]
    assert np.allclose(*scores, atol=1e-3)


@pytest.mark.parametrize("weights", [Weights(), SVDD, SAD, Weights(compactness=0, separation=0)])
def test_the_unified_objective_has_three_terms_and_no_collapse(weights):
    torch.manual_seed(0)
    x, odd = rows()
    observed = torch.as_tensor(np.where(odd, 1, -1))
    objective = UnifiedObjective(5, weights=weights)
    history = train_objective(objective, torch.as_tensor(x), observed, epochs=30)
    assert {"information", "compactness", "separation"} <= set(history[0])
    total = sum(vars(weights)[name] * history[-1][name] for name in vars(weights))
    assert history[-1]["loss"] == pytest.approx(-total, rel=1e-3)
    assert history[-1]["loss"] < history[0]["loss"]
    scores = objective.scores(torch.as_tensor(x)).numpy()
    assert np.ptp(scores) > 0.01
    assert roc_auc_score(odd, scores) > 0.8


def test_a_batch_of_labelled_anomalies_alone_has_no_normal_terms():
    objective = UnifiedObjective(5, weights=SAD)
    terms = objective.terms(torch.rand(4, 5), torch.ones(4))
    assert terms.information == terms.compactness == 0
    assert terms.separation.isfinite()
    for wrong in (torch.ones(4), torch.zeros(3)):
        with pytest.raises(DataError, match="observed"):
            train_objective(objective, torch.rand(4, 5), wrong, epochs=1)
    for make in (
        lambda: Weights(information=-1.0),
        lambda: Weights(information=0, compactness=0, separation=0),
        lambda: UnifiedObjective(5, weights=SVDD, embedding=0),
    ):
        with pytest.raises(DataError):
            make()
