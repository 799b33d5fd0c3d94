"""Changes of saved runs for `mutated_runs`. Checksums are correct after each change."""

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

__all__ = ["Changed", "damage", "replacements", "sign"]

_INSTEAD: tuple[Any, ...] = (
    None, [], [[1]], {}, True, -1, 0, 2**31, 10**30, 1e300, 0.5, "", "wrong name", "../x",
    "\x1b[2J", {"same": 0}, {"same": 99},
    {"class": "torch.nn.Linear", "arguments": {"in_features": 2 * 10**8,
     "out_features": 3}},
    {"class": "torch.nn.Sequential", "arguments": {"*": 3}},
)  # fmt: skip

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Changed:
    """One change of a run.

    Attributes:
        name: Description of the change.
        change: Function that changes a copy of the run, given its folder.
    """

    name: str
    change: Change


def sign(folder: Path) -> None:
    """Write a manifest with correct checksums of all files in the folder."""
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    text = json.dumps({"written_by": "nbam_pyro", "sha256": digests})
    (folder / "manifest.json").write_text(text)


def replacements(run: Path) -> Iterator[Changed]:
    """Yield changes that replace one value, or rename one key, of a JSON file."""
    for file in sorted(run.glob("*.json")):
        content = json.loads(file.read_text())
        for place in _places(content):
            name = f"{file.name} {'.'.join(map(str, place))}"
            for instead in _INSTEAD:
                yield _replaced(f"{name} = {instead!r}", file.name, content, place, instead)
            if place and isinstance(place[-1], str):
                yield _renamed(f"{name} renamed", file.name, content, place)


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(one, (*above, key))


def _replaced(name: str, file: str, content: Any, place: tuple[Any, ...], instead: Any) -> Changed:
    def change(run: Path) -> None:
        values = copy.deepcopy(content)
        if place:
            _at(values, place[:-1])[place[-1]] = instead
        _rewrite(run, file, values if place else instead)

    return Changed(name, change)


def _renamed(name: str, file: str, content: Any, place: tuple[Any, ...]) -> Changed:
    def change(run: Path) -> None:
        values = copy.deepcopy(content)
        holder = _at(values, place[:-1])
        holder[f"{place[-1]}_"] = holder.pop(place[-1])
        _rewrite(run, file, values)

    return Changed(name, change)


def _at(values: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        values = values[key]
    return values


def _rewrite(run: Path, file: str, values: Any) -> None:
    (run / file).write_text(json.dumps(values))
    if file != "manifest.json":
        sign(run)


def damage(run: Path) -> Iterator[Changed]:
    """Yield all other changes: tensors, links, pipes, names, nesting depth and file size."""
    model = next(path.name for path in sorted(run.glob("*.safetensors")))
    description = model.replace(".safetensors", ".json")
    tensors = safetensors.torch.load((run / model).read_bytes())
    for name, tensor in tensors.items():
        for what, other in _other_tensors(tensor):
            yield _of_tensors(f"{name} {what}", model, tensors | {name: other})
        rest = {other: value for other, value in tensors.items() if other != name}
        yield _of_tensors(f"{name} missing", model, rest)
    for file in (model, description, "run.json", "summary.json", "flags.csv", "settings.json"):
        whole = (run / file).read_bytes()
        for size in (0, 1, 9, len(whole) // 2, len(whole) - 1):
            yield _of_bytes(f"{file} cut to {size}", file, whole[:size])
        yield _of_bytes(f"{file} junk", file, b"\xff\x00junk" * 99)
        deep = b'{"format_version":6,"copies":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
        yield _of_bytes(f"{file} deep", file, deep)
        yield _many(f"{file} long", file, 5_000_000)
        yield _many(f"{file} too long", file, 10_000_000)
        yield Changed(f"{file} a link", _link(file))
        yield Changed(f"{file} a pipe", _pipe(file))
    for name in ("/proc/kmsg", "/dev/zero", "../train.csv", "..", "", "a/../../x", "plots"):
        yield Changed(f"manifest names {name!r}", _named(name))
    yield Changed("laughs", _laughs(description))


def _other_tensors(tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    yield "of another shape", torch.zeros(2, 7)
    yield "of no dimension", torch.zeros(())
    yield "empty", torch.zeros(0)
    yield "of whole numbers", torch.zeros(tensor.shape, dtype=torch.int64)
    if tensor.is_floating_point():
        yield "NaN", torch.full_like(tensor, torch.nan)
        yield "infinite", torch.full_like(tensor, -torch.inf)
        yield "huge", torch.full_like(tensor, 1e38)
    yield "longer", torch.cat([tensor.flatten(), tensor.flatten()[:1]])


def _of_bytes(name: str, file: str, content: bytes) -> Changed:
    def change(run: Path) -> None:
        (run / file).write_bytes(content)
        sign(run)

    return Changed(name, change)


def _many(name: str, file: str, count: int) -> Changed:
    def change(run: Path) -> None:
        (run / file).write_bytes(b"[" + b"[]," * count + b"[]]")
        sign(run)

    return Changed(name, change)


def _of_tensors(name: str, file: str, tensors: dict[str, torch.Tensor]) -> Changed:
    def change(run: Path) -> None:
        (run / file).write_bytes(safetensors.torch.save(tensors))
        sign(run)

    return Changed(name, change)


def _link(file: str) -> Change:
    def change(run: Path) -> None:
        outside = run.with_name("outside")
        shutil.copy(run / file, outside)
        (run / file).unlink()
        (run / file).symlink_to(outside)

    return change


def _pipe(file: str) -> Change:
    def change(run: Path) -> None:
        (run / file).unlink()
        os.mkfifo(run / file)

    return change


def _named(name: str) -> Change:
    def change(run: Path) -> None:
        manifest = json.loads((run / "manifest.json").read_text())
        manifest["sha256"][name] = "0" * 64
        (run / "manifest.json").write_text(json.dumps(manifest))

    return change


def _laughs(file: str) -> Change:
    """Nest modules so that the module tree grows exponentially with the depth."""

    def change(run: Path) -> None:
        content = json.loads((run / file).read_text())
        part: Any = {"class": "torch.nn.ReLU", "arguments": {}, "number": 1000}
        for number in range(1000, 1040):
            parts = {"*": [part, {"same": number}]}
            kind = "torch.nn.Sequential"
            part = {"class": kind, "arguments": parts, "number": number + 1}
        holder = (
            content["copies"][0]["story"]["description"]
            if "copies" in content
            else content["backbone"]
        )
        holder["arguments"]["network"] = part
        _rewrite(run, file, content)

    return change
