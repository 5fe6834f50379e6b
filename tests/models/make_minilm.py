#!/usr/bin/env python3
"""Makes tests/models/minilm/: what ONNX Runtime answers for paraphrase-MiniLM-L3-v2.

usage: make_minilm.py "$(tools/fetch-model)" [FOLDER]      needs onnxruntime (1.32), numpy

Inputs follow a formula that tests/models/test_minilm.c repeats. Sentence vectors are kept whole, and
of each token's 384 numbers eight, at places such that 48 tokens show all of them.
"""
import pathlib
import sys

import numpy as np
import onnxruntime

SHAPES = ((1, 16), (1, 128), (8, 32))
SAMPLES = 8


def make_inputs(batch, length):
    state = batch * 1000 + length
    ids = np.empty((batch, length), np.int64)
    for index in np.ndindex(ids.shape):
        state = (state * 1664525 + 1013904223) % 2**32
        ids[index] = 1000 + (state >> 8) % 29000
    lengths = length - np.arange(batch) * length // (2 * batch)  # each row ends earlier
    mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
    return {"input_ids": ids, "attention_mask": mask}


def sample(tokens):
    """[B, T, W] to [B, T, SAMPLES]: token number i gives places i + k * W / SAMPLES."""
    width = tokens.shape[-1]
    rows = tokens.reshape(-1, width)
    places = np.arange(len(rows))[:, None] + np.arange(SAMPLES) * (width // SAMPLES)
    taken = np.take_along_axis(rows, places % width, axis=1)
    return np.ascontiguousarray(taken.reshape(*tokens.shape[:-1], SAMPLES))


def main():
    default = pathlib.Path(__file__).parent / "minilm"
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else default
    folder.mkdir(exist_ok=True)
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    for batch, length in SHAPES:
        inputs = make_inputs(batch, length)
        _, _, tokens, sentences = session.run(None, inputs)
        np.save(folder / f"tokens_{batch}x{length}.npy", sample(tokens))
        np.save(folder / f"sentences_{batch}x{length}.npy", sentences)


main()
