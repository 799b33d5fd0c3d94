"""Lists of all benchmarks and all reports of the command line."""

from benchmarks.annotators.crowd import CROWD, Crowd
from benchmarks.annotators.simulated import ANNOTATORS, Annotators
from benchmarks.benchmark import Benchmark
from benchmarks.calibration.coverage import Coverage
from benchmarks.calibration.guide_and_chains import GuideAndChains
from benchmarks.calibration.pooling import Pooling
from benchmarks.calibration.priors import Priors
from benchmarks.calibration.refits import Refits
from benchmarks.calibration.right_labels import RightLabels
from benchmarks.calibration.sbc import Sbc
from benchmarks.calibration.share_prior import ShareDevelopment
from benchmarks.calibration.sharpness import Sharpness
from benchmarks.calibration.sharpness_prior import SharpnessDevelopment
from benchmarks.detection.cobra import Cobra
from benchmarks.detection.contaminated_ad import ContaminatedAd
from benchmarks.detection.default_detector import DEFAULT_DETECTOR, DefaultDetector
from benchmarks.detection.failure_table import FAILURE_TABLE, FailureTable
from benchmarks.detection.from_scores import FROM_SCORES, FromScores
from benchmarks.detection.loe_maps import LoeMaps
from benchmarks.detection.nurd import Nurd
from benchmarks.detection.rates import TOLD_RATES
from benchmarks.detection.report import CONTAMINATED_AD
from benchmarks.detection.svdd_toy import SVDD_TOY, SvddToy
from benchmarks.detection.wrong_labels import WrongLabels
from benchmarks.label_noise.digits import Digits, Loop
from benchmarks.label_noise.label_noise import LabelNoise
from benchmarks.label_noise.loop_starts import LoopStarts
from benchmarks.label_noise.p_wrong import P_WRONG, PWrong
from benchmarks.label_noise.rate_maps import RateMaps
from benchmarks.label_noise.report import LABEL_NOISE
from benchmarks.label_noise.review import Review
from benchmarks.label_noise.review_names import ReviewNames
from benchmarks.label_noise.verified_rows import VerifiedRows
from benchmarks.regression.from_predictions import FromPredictions
from benchmarks.regression.simulated_tables import SimulatedTables
from benchmarks.regression.wrong_measurements import Regression
from benchmarks.report import Report
from benchmarks.robustness.kills import Kills
from benchmarks.robustness.mutated_runs import MutatedRuns
from benchmarks.robustness.precision import Precision
from benchmarks.robustness.small_tables import SmallTables
from benchmarks.series.chains import CHAINS, Chains
from benchmarks.series.skab import SKAB, Skab
from benchmarks.speed.host_syncs import HostSyncs
from benchmarks.speed.overhead import Overhead
from benchmarks.speed.pred_probs import PredProbs
from benchmarks.speed.scale import Scale
from benchmarks.speed.startup import Startup

__all__ = ["BENCHMARKS", "REPORTS"]

BENCHMARKS: tuple[type[Benchmark], ...] = (
    LabelNoise,
    PWrong,
    Review,
    ReviewNames,
    RateMaps,
    VerifiedRows,
    Digits,
    Loop,
    LoopStarts,
    Regression,
    Crowd,
    Annotators,
    FromPredictions,
    SimulatedTables,
    ContaminatedAd,
    WrongLabels,
    SvddToy,
    FailureTable,
    FromScores,
    LoeMaps,
    DefaultDetector,
    Cobra,
    Nurd,
    Chains,
    Skab,
    Coverage,
    Refits,
    Sbc,
    GuideAndChains,
    Priors,
    Pooling,
    RightLabels,
    Sharpness,
    SharpnessDevelopment,
    ShareDevelopment,
    MutatedRuns,
    Kills,
    Precision,
    SmallTables,
    Overhead,
    HostSyncs,
    PredProbs,
    Scale,
    Startup,
)
REPORTS: tuple[Report, ...] = (
    LABEL_NOISE,
    P_WRONG,
    CONTAMINATED_AD,
    TOLD_RATES,
    FAILURE_TABLE,
    SVDD_TOY,
    FROM_SCORES,
    DEFAULT_DETECTOR,
    CROWD,
    ANNOTATORS,
    CHAINS,
    SKAB,
)
