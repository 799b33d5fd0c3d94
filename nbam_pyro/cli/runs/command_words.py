"""The command that would make a run of `nbam fit` again."""

from collections.abc import Mapping
from typing import Any

__all__ = ["command_words"]

_TEXTS = (
    *("label", "annotations", "pred_probs", "predictions"),
    *("clean_error", "difficulty", "head", "epochs"),
)


def command_words(settings: Mapping[str, Any]) -> list[str]:
    """Return the words of the command of a run without its output folder; empty if it has none.

    Columns of verified rows are left out: `--verified` cannot be added to them.

    Args:
        settings: Content of settings.json.

    Example:
        >>> command_words({"command": "fit", "data": "a.csv", "label": "kind", "epochs": 5,
        ...     "contamination": [2, 8], "seed": 0, "task": "auto"})
        ['fit', 'a.csv', '--label', 'kind', '--epochs', '5', '--contamination', 'beta:2,8']
    """
    if settings["command"] not in ("fit", "fit-outputs"):
        return []
    words = ["fit", settings["data"]]
    given = {name: settings.get(name) for name in _TEXTS}
    given |= {"contamination": _prior(settings.get("contamination"))}
    given |= {"task": None if settings.get("task") == "auto" else settings.get("task")}
    given |= {"seed": settings.get("seed") or None, **_images(settings.get("features"))}
    for name, value in given.items():
        if value is not None:
            words += [_option(name), str(value)]
    for name in ("drop", "keep", "verified"):
        for one in settings.get(name, []):
            words += [_option(name), str(one)]
    return words


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _prior(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return "beta:" + ",".join(f"{number:g}" for number in value)
    return None if value is None else str(value)


def _images(features: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options about the network of the features."""
    if features is None:
        return {}
    scale = None
    if features["mean"] is not None and features["std"] is not None:
        scale = f"{features['mean']},{features['std']}"
    return {
        "features": features["network"],
        "image_size": features["size"],
        "image_scale": scale,
        "cache": features["cache"],
    }
