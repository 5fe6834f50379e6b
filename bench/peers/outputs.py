"""Heddle's output files beside a peer's outputs."""

import re

import numpy as np


def file_names(names):
    """The stems under which `heddle run` writes these outputs."""
    stems, seen = [], {}
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        seen[stem] = seen.get(stem, 0) + 1
        stems.append(stem if seen[stem] == 1 else f"{stem}-{seen[stem]}")
    return stems


def in_order(files, names):
    """The arrays of `heddle run`, given by file stem, in the order of the model's outputs."""
    stems = file_names(names)
    missing = [stem for stem in stems if stem not in files]
    if missing:
        raise ValueError(f"heddle run wrote no {', '.join(missing)}")
    return [files[stem] for stem in stems]


def scale(expected):
    """The largest magnitude, at most 1: a probability map whose peak is 0.005 is not equal to
    zeros, though each of its values is close to 0."""
    magnitudes = np.abs(expected[np.isfinite(expected)].astype(np.float64))
    return min(1.0, float(magnitudes.max(initial=0.0))) or 1.0


def difference(actual, expected):
    """(largest absolute error, largest error relative to scale() + |expected|).

    Not-a-number against a number, or infinities that differ, count as infinitely wrong.
    """
    if actual.shape != expected.shape:
        raise ValueError(f"shape {actual.shape} in place of {expected.shape}")
    if actual.dtype != expected.dtype:
        raise ValueError(f"type {actual.dtype} in place of {expected.dtype}")
    if expected.size == 0:
        return 0.0, 0.0
    actual = actual.astype(np.float64)
    expected = expected.astype(np.float64)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        absolute = np.where(same, 0.0, np.abs(actual - expected))
        relative = absolute / np.where(same, 1.0, scale(expected) + np.abs(expected))
    absolute = np.nan_to_num(absolute, nan=np.inf, posinf=np.inf)
    relative = np.nan_to_num(relative, nan=np.inf, posinf=np.inf)
    return float(absolute.max()), float(relative.max())
