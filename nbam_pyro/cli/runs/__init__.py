"""Runs: from a data file to a run folder, reading it again, and its summary in words.

Use `read_run` in Python to load the fit of a run and the encoding of its features.
"""

from nbam_pyro.cli.runs.commands import fit_file
from nbam_pyro.cli.runs.comparing import compare_runs
from nbam_pyro.cli.runs.corrected import correct_run
from nbam_pyro.cli.runs.detected_run import DetectOptions
from nbam_pyro.cli.runs.detecting import detect_file
from nbam_pyro.cli.runs.detector_options import parse_backbone, parse_share
from nbam_pyro.cli.runs.exporting import export_run
from nbam_pyro.cli.runs.folder import RunInfo, read_report, read_run, write_run
from nbam_pyro.cli.runs.frozen import FeatureOptions, feature_options
from nbam_pyro.cli.runs.given import check_alone
from nbam_pyro.cli.runs.mapping import check_maps, map_folder
from nbam_pyro.cli.runs.nuisances import check_nuisance, detect_nuisance
from nbam_pyro.cli.runs.outputs import fit_outputs
from nbam_pyro.cli.runs.priors import parse_clean_error, parse_contamination
from nbam_pyro.cli.runs.reporting import report_run
from nbam_pyro.cli.runs.reviewing import draw_review
from nbam_pyro.cli.runs.scores import detect_scores
from nbam_pyro.cli.runs.scoring import is_folder, score_file
from nbam_pyro.cli.runs.spotlight import open_spotlight
from nbam_pyro.cli.runs.tables import write_csv
from nbam_pyro.cli.runs.verifying import verify_run
from nbam_pyro.cli.runs.words import corrected_lines, scored_line, show_lines, table_lines

__all__ = [
    "DetectOptions",
    "FeatureOptions",
    "RunInfo",
    "check_alone",
    "check_maps",
    "check_nuisance",
    "compare_runs",
    "correct_run",
    "corrected_lines",
    "detect_file",
    "detect_nuisance",
    "detect_scores",
    "draw_review",
    "export_run",
    "feature_options",
    "fit_file",
    "fit_outputs",
    "is_folder",
    "map_folder",
    "open_spotlight",
    "parse_backbone",
    "parse_clean_error",
    "parse_contamination",
    "parse_share",
    "read_report",
    "read_run",
    "report_run",
    "score_file",
    "scored_line",
    "show_lines",
    "table_lines",
    "verify_run",
    "write_csv",
    "write_run",
]
