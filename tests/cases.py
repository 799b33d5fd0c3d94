"""One small instance of every story, with data, for the contract suites."""

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from nbam_pyro.inference import guide_draws, make_guide
from nbam_pyro.models import (
    BernoulliLikelihood,
    BetaSwitch,
    BroadCounts,
    BroadNormal,
    BroadStudentT,
    BroadVector,
    CategoricalLikelihood,
    Component,
    Conditionals,
    FeatureErrors,
    FixedSwitch,
    GaussianProcessSwitch,
    GroupSwitch,
    HeadSwitch,
    InducingFeatures,
    LabelFlip,
    LaplaceLikelihood,
    LatentSwitch,
    LeverageSwitch,
    LinearErrors,
    LinearNormal,
    LinearSkewed,
    LinearStudentT,
    LinearSwitch,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    NormalVector,
    OneSwitch,
    PoissonLikelihood,
    ShiftedNormal,
    Story,
    StudentTLikelihood,
    UniformLabels,
    UniformRange,
    observe_verified,
    three_heads,
)
from nbam_pyro.verified import NOTHING
from tests.rows import (
    FEATURES,
    counts,
    grouped,
    labels,
    line,
    pixels,
    placed,
    placed_labels,
    tags,
    values,
    vectors,
)


class BayesianLine(Component):
    """A user's own clean likelihood: a line whose coefficients have a posterior."""

    def priors(self):
        return {
            "slope": dist.Normal(0.0, 10.0),
            "intercept": dist.Normal(0.0, 50.0),
            "sigma": dist.LogNormal(1.0, 1.0),
        }

    def forward(self, h, latents):
        return dist.Normal(latents["intercept"] + latents["slope"] * h[:, 0], latents["sigma"])


def robust_line(low=-60.0, high=60.0):
    return LatentSwitch(
        switch=BetaSwitch(1.0, 9.0), clean=BayesianLine(), anomaly=UniformRange(low, high)
    )


class Tempered(LatentSwitch):
    """A story with another `conditionals`: rows far from the origin are contaminated more often."""

    def conditionals(self, x, latents):
        switch, clean, anomaly = super().conditionals(x, latents)
        suspect = dist.Bernoulli(logits=switch.logits + x.square().sum(-1))
        return Conditionals(suspect, clean, anomaly)


class ThreeStates(Story):
    """A user's own story: no closed form, three states, other names of sites."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.network = nn.Linear(FEATURES, num_classes)
        self.num_classes = num_classes

    def forward(self, x, y=None, *, num_data=None, verified=NOTHING):
        counts = torch.tensor([8.0, 1.0, 1.0]).to(x)
        shares = pyro.sample("shares", dist.Dirichlet(counts))
        logits = self.network(x)
        with pyro.plate("rows", num_data or len(x), subsample=x):
            kind = pyro.sample("kind", dist.Categorical(shares), infer={"enumerate": "parallel"})
            observe_verified("kind", kind > 0, verified.contaminated)
            uniform, inverted = torch.zeros_like(logits), -logits
            index = kind.unsqueeze(-1)
            chosen = torch.where(index == 0, logits, torch.where(index == 1, uniform, inverted))
            return pyro.sample("label", dist.Categorical(logits=chosen), obs=y)

    def contaminated(self, states):
        return states["kind"] > 0


class WithoutVerified(ThreeStates):
    """A user's own story whose `forward` has no argument `verified`."""

    def forward(self, x, y=None, *, num_data=None):
        return super().forward(x, y, num_data=num_data)


def _switch(switch, clean, anomaly):
    return lambda: LatentSwitch(switch=switch(), clean=clean(), anomaly=anomaly())


def _head(width):
    return nn.Linear(FEATURES, width)


def shifted():
    clean = NormalLikelihood(_head(1))
    anomaly = ShiftedNormal(clean, shift=6.0, scale=2.0)
    return LatentSwitch(switch=BetaSwitch(), clean=clean, anomaly=anomaly)


def tagger():
    return LatentSwitch(
        switch=BetaSwitch(shape=(3,)),
        clean=BernoulliLikelihood(_head(3), multi_label=True),
        anomaly=UniformLabels(2, shape=(3,)),
        dims=("label",),
    )


def tagger_with_heads():
    return LatentSwitch(
        switch=HeadSwitch(_head(3), multi_label=True),
        clean=BernoulliLikelihood(_head(3), multi_label=True),
        anomaly=UniformLabels(2, shape=(1,)),
        dims=("label",),
    )


def linear(family=LinearNormal):
    """The components of `linear_regression`."""
    clean = family(FEATURES, scale=5.0)
    return LatentSwitch(
        switch=LeverageSwitch(FEATURES), clean=clean, anomaly=LinearErrors(clean, scale=4.0)
    )


def feature_errors():
    clean = LinearNormal(FEATURES, scale=5.0)
    unit = [1.0, 0.5, 1.0, 2.0]
    return FeatureErrors(clean, LinearErrors(clean, scale=4.0), middle=4 * [0.1], unit=unit)


def _deep(num_classes):
    return nn.Sequential(nn.Linear(FEATURES, 5), nn.Linear(5, num_classes))


# Name of the story: function that returns the story, function that returns its data.
CLOSED_STORIES = {
    "three_heads": (lambda: three_heads(_head(7), 7, 3), lambda n=6: labels(3, n)),
    "uniform_labels": (
        _switch(
            lambda: FixedSwitch(0.2),
            lambda: CategoricalLikelihood(_head(2)),
            lambda: UniformLabels(2),
        ),
        lambda n=6: labels(2, n),
    ),
    "robust_regression": (
        _switch(
            BetaSwitch,
            lambda: NormalLikelihood(_head(1), scale=2.0),
            lambda: BroadNormal(0.0, 20.0),
        ),
        values,
    ),
    "regression_in_a_range": (
        _switch(
            lambda: HeadSwitch(_head(1)),
            lambda: NormalLikelihood(_head(1)),
            lambda: UniformRange(-50.0, 50.0),
        ),
        values,
    ),
    "line": (robust_line, line),
    "overridden": (
        lambda: Tempered(
            switch=BetaSwitch(), clean=CategoricalLikelihood(_head(3)), anomaly=UniformLabels(3)
        ),
        lambda n=6: labels(3, n),
    ),
    "label_flip": (lambda: LabelFlip(_head(3), 3), lambda n=6: labels(3, n)),
    "label_flip_two_classes": (lambda: LabelFlip(_head(2), 2), lambda n=6: labels(2, n)),
    "student_t": (
        _switch(BetaSwitch, lambda: StudentTLikelihood(_head(2)), lambda: BroadStudentT(0.0, 9.0)),
        values,
    ),
    "laplace": (
        _switch(BetaSwitch, lambda: LaplaceLikelihood(_head(2)), lambda: BroadNormal(0.0, 9.0)),
        values,
    ),
    "shifted": (shifted, values),
    "linear": (linear, values),
    "feature_errors": (feature_errors, values),
    "linear_student_t": (lambda: linear(LinearStudentT), values),
    "linear_skewed": (lambda: linear(LinearSkewed), values),
    "binary": (
        _switch(BetaSwitch, lambda: BernoulliLikelihood(_head(1)), lambda: UniformLabels(2)),
        lambda n=6: labels(2, n),
    ),
    "multi_label": (tagger, tags),
    "one_switch_for_labels": (
        _switch(
            BetaSwitch,
            lambda: OneSwitch(BernoulliLikelihood(_head(3), multi_label=True)),
            lambda: OneSwitch(UniformLabels(2, shape=(3,))),
        ),
        tags,
    ),
    "one_switch_for_a_vector": (
        _switch(
            BetaSwitch,
            lambda: OneSwitch(NormalVector(_head(2), scale=[1.0, 2.0], centre=[0.0, 3.0])),
            lambda: OneSwitch(BroadVector([0.0, 3.0], [9.0, 9.0])),
        ),
        vectors,
    ),
    "a_switch_for_each_element": (
        lambda: LatentSwitch(
            switch=BetaSwitch(shape=(2,)),
            clean=NormalVector(_head(2), scale=[1.0, 2.0]),
            anomaly=BroadVector([0.0, 3.0], [9.0, 9.0]),
            dims=("element",),
        ),
        vectors,
    ),
    "multi_label_with_heads": (tagger_with_heads, tags),
    "counts": (
        _switch(BetaSwitch, lambda: PoissonLikelihood(_head(1)), lambda: BroadCounts(20.0)),
        counts,
    ),
    "overdispersed_counts": (
        _switch(
            BetaSwitch,
            lambda: NegativeBinomialLikelihood(_head(1)),
            lambda: BroadCounts(20.0),
        ),
        counts,
    ),
    "label_flip_pixels": (
        lambda: LabelFlip(nn.Conv2d(2, 3, 1), 3, dims=("height", "width")),
        pixels,
    ),
    "groups": (
        _switch(
            lambda: GroupSwitch(3),
            lambda: CategoricalLikelihood(_head(3)),
            lambda: UniformLabels(3),
        ),
        grouped,
    ),
    "input_dependent": (
        _switch(
            lambda: LinearSwitch(FEATURES),
            lambda: LinearNormal(FEATURES),
            lambda: BroadNormal(0.0, 20.0),
        ),
        values,
    ),
    "gaussian_process": (
        _switch(
            lambda: GaussianProcessSwitch(InducingFeatures(2, 5), appended=True),
            lambda: LinearNormal(FEATURES),
            lambda: BroadNormal(0.0, 20.0),
        ),
        placed,
    ),
    "label_flip_groups": (
        lambda: LabelFlip(_deep(3), 3, groups=3, locality=1.0),
        grouped,
    ),
    "label_flip_over_coordinates": (
        lambda: LabelFlip(_head(3), 3, locality=1.0, over=InducingFeatures(2, 5)),
        placed_labels,
    ),
    "label_flip_last_layer": (
        lambda: LabelFlip(_deep(3), 3, last_layer=1.0),
        lambda n=6: labels(3, n),
    ),
    "label_flip_local": (lambda: LabelFlip(_deep(3), 3, locality=1.0), lambda n=6: labels(3, n)),
}
ALL_STORIES = CLOSED_STORIES | {"three_states": (ThreeStates, lambda n=6: labels(3, n))}


def prepare(name, n=6, dtype=torch.float32):
    """Return a story of `ALL_STORIES` and n rows of data, in the given precision."""
    make, data = ALL_STORIES[name]
    x, y = data(n)
    story = make().to(dtype).eval()
    return story, x.to(dtype), y.to(dtype) if y.is_floating_point() else y


def draw_latents(story, x, y, dtype=torch.float32):
    """Return one draw of the story's global latents from a new guide."""
    draws = guide_draws(make_guide(story, x, y), 1)
    return {name: value[0].to(dtype) for name, value in draws.items()}
