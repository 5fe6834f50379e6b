#!/usr/bin/env python3
"""usage: encoder.py HEDDLE [--compile] [--only ENCODER:PRECISION]... [SECONDS]
Encoders on one GPU, sequences of 128 tokens a second: `HEDDLE bench model --precision P` (and `bench batch`) beside PyTorch eager in a CUDA
graph a thread, in the same precision, and with --compile beside torch.compile(max-autotune) in a graph a thread; the same random weights. Heddle's
inputs and outputs lie in the host's memory, PyTorch's on the device. Cells take turns in three rounds; medians are printed, the spread as
lowest..highest ratio of a round to PyTorch's best of that round."""
import json, pathlib, statistics, subprocess, sys, tempfile, threading, time
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
import torch
import torch.nn.functional as F

TOKENS, WORDS = 128, 30522
ENCODERS = {"mini6": (384, 1536, 12, 6), "base": (768, 3072, 12, 12)}
ROUNDS = 3


def weights(width, inner, layers):
    rng = np.random.default_rng(7)
    normal = lambda *shape: (rng.standard_normal(shape, dtype=np.float32) / np.float32(shape[0] ** 0.5))
    small = lambda n: (rng.standard_normal(n, dtype=np.float32) * np.float32(0.1))
    made = {"words": rng.standard_normal((WORDS, width), dtype=np.float32), "places": normal(TOKENS, width), "s": 1 + small(width), "b": small(width)}
    for i in range(layers):
        for name in "qkvo":
            made[f"{name}{i}"], made[f"{name}b{i}"] = normal(width, width), small(width)
        made[f"u{i}"], made[f"ub{i}"], made[f"d{i}"], made[f"db{i}"] = normal(width, inner), small(inner), normal(inner, width), small(width)
        for name in ("s1", "b1", "s2", "b2"):
            made[f"{name}_{i}"] = small(width) + (name[0] == "s")
    return made


def write_model(path, w, width, heads, layers):
    nodes, size = [], width // heads
    add = lambda op, inputs, out, **kw: (nodes.append(helper.make_node(op, inputs, [out], **kw)), out)[1]
    linear = lambda x, name, i, out: add("Add", [add("MatMul", [x, f"{name}{i}"], out + "m"), f"{name}b{i}"], out)
    norm = lambda x, s, b, out: add("LayerNormalization", [x, s, b], out, axis=-1, epsilon=1e-12)
    w = dict(w, split=np.array([0, 0, heads, size], np.int64), join=np.array([0, 0, width], np.int64), scale=np.array(size ** -0.5, np.float32))
    x = norm(add("Add", [add("Gather", ["words", "ids"], "g"), "places"], "e"), "s", "b", "x")
    for i in range(layers):
        split = lambda name, perm: add("Transpose", [add("Reshape", [linear(x, name, i, f"{name}l{i}"), "split"], f"{name}r{i}")], f"{name}t{i}", perm=perm)
        q, k, v = split("q", [0, 2, 1, 3]), split("k", [0, 2, 3, 1]), split("v", [0, 2, 1, 3])
        p = add("Softmax", [add("Mul", [add("MatMul", [q, k], f"qk{i}"), "scale"], f"sc{i}")], f"p{i}", axis=-1)
        a = add("Reshape", [add("Transpose", [add("MatMul", [p, v], f"pv{i}")], f"at{i}", perm=[0, 2, 1, 3]), "join"], f"a{i}")
        x = norm(add("Add", [linear(a, "o", i, f"ol{i}"), x], f"r1{i}"), f"s1_{i}", f"b1_{i}", f"n1{i}")
        h = add("Gelu", [linear(x, "u", i, f"ul{i}")], f"h{i}")
        x = norm(add("Add", [linear(h, "d", i, f"dl{i}"), x], f"r2{i}"), f"s2_{i}", f"b2_{i}", f"n2{i}")
    add("ReduceMean", [x, "axes"], "y", keepdims=0)
    w["axes"] = np.array([1], np.int64)
    graph = helper.make_graph(nodes, "encoder", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", TOKENS])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])],
                              [numpy_helper.from_array(v, n) for n, v in w.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


class Encoder(torch.nn.Module):
    def __init__(self, w, heads, layers, dtype):
        super().__init__()
        self.heads, self.layers = heads, layers
        put = lambda v: torch.from_numpy(v).cuda().to(dtype)
        self.w = {n: put(v) for n, v in w.items()}
        for i in range(layers):
            self.w[f"qkv{i}"] = torch.cat([self.w[f"{n}{i}"] for n in "qkv"], 1).t().contiguous()
            self.w[f"qkvb{i}"] = torch.cat([self.w[f"{n}b{i}"] for n in "qkv"])
            for n in "oud":
                self.w[f"{n}{i}"] = self.w[f"{n}{i}"].t().contiguous()

    def forward(self, ids):
        w = self.w
        width = w["s"].numel()
        norm = lambda x, s, b: F.layer_norm(x, (width,), w[s], w[b], 1e-12)
        x = norm(F.embedding(ids, w["words"]) + w["places"], "s", "b")
        for i in range(self.layers):
            q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in F.linear(x, w[f"qkv{i}"], w[f"qkvb{i}"]).chunk(3, 2))
            a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            x = norm(F.linear(a, w[f"o{i}"], w[f"ob{i}"]) + x, f"s1_{i}", f"b1_{i}")
            x = norm(F.linear(F.gelu(F.linear(x, w[f"u{i}"], w[f"ub{i}"])), w[f"d{i}"], w[f"db{i}"]) + x, f"s2_{i}", f"b2_{i}")
        return x.float().mean(1)


class Graphs:
    """A CUDA graph a thread, each on a stream of its own that the thread waits for after every replay."""

    def __init__(self, work, batch, threads):
        self.made = []
        for _ in range(threads):
            ids, stream = torch.ones(batch, TOKENS, dtype=torch.int64, device="cuda"), torch.cuda.Stream()
            with torch.no_grad(), torch.cuda.stream(stream):
                for _ in range(2):
                    work(ids)
                stream.synchronize()
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, stream=stream):
                    y = work(ids)
            self.made.append((graph, stream, ids, y))

    def rate(self, threads, seconds):
        counts, barrier = [0] * threads, threading.Barrier(threads + 1)

        def run(t):
            graph, stream, _, _ = self.made[t]
            with torch.cuda.stream(stream):
                barrier.wait()
                end = time.perf_counter() + seconds
                while time.perf_counter() < end:
                    graph.replay()
                    stream.synchronize()
                    counts[t] += 1

        workers = [threading.Thread(target=run, args=(t,)) for t in range(threads)]
        for w in workers:
            w.start()
        barrier.wait()
        begin = time.perf_counter()
        for w in workers:
            w.join()
        return sum(counts) / (time.perf_counter() - begin)


def heddle(program, model, batch, threads, precision, seconds):
    out = subprocess.run([program, "bench", "model", model, "--device", "cuda", "--precision", precision, "--shape", f"ids={batch}x{TOKENS}", "--threads",
                          ",".join(map(str, threads)), "--seconds", str(seconds), "--json", "-"], capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(out.stderr)
    text = out.stdout[out.stdout.index("{"):]
    return {p["threads"]: p["runs_per_s"] for p in json.loads(text)["points"]}


def batched(program, model, precision, seconds):
    """Requests of one sequence from 8 threads through a batch queue."""
    out = subprocess.run([program, "bench", "batch", model, "--device", "cuda", "--precision", precision, "--shape", f"ids=1x{TOKENS}", "--threads", "8",
                          "--workers", "1,2", "--in-flight", "16", "--max-rows", "64", "--seconds", str(seconds), "--json", "-"], capture_output=True, text=True)
    if out.returncode != 0:
        return out.stderr.strip()
    points = json.loads(out.stdout[out.stdout.index("{"):])["points"]
    return ", ".join(f"{p['workers']} workers {p['requests_per_s']:.0f} (batch {p['mean_batch']:.1f})" for p in points)


def check(program, model, encoder, folder, precision):
    ids = np.random.default_rng(1).integers(0, WORDS, (3, TOKENS))
    np.save(folder / "ids.npy", ids)
    subprocess.run([program, "run", model, "--device", "cuda", "--precision", precision, "--input", f"ids={folder}/ids.npy", "--output-dir", folder, "--threads",
                    "4", "--repeat", "8", "--check"], check=True, stdout=subprocess.DEVNULL)
    with torch.no_grad():
        want = encoder(torch.from_numpy(ids).cuda()).cpu().numpy()
    got = np.load(folder / "y.npy")
    return np.abs(got - want).max(), np.abs(want).max(), got


def main():
    arguments, only = [], []
    words = iter(a for a in sys.argv[1:] if a != "--compile")
    for word in words:
        only.append(next(words)) if word == "--only" else arguments.append(word)
    program, seconds = arguments[0], float(arguments[1]) if len(arguments) > 1 else 0.5
    compiles = "--compile" in sys.argv
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    folder = pathlib.Path(tempfile.mkdtemp())
    for name, (width, inner, heads, layers) in ENCODERS.items():
        w, model = weights(width, inner, layers), str(folder / f"{name}.onnx")
        write_model(model, w, width, heads, layers)
        flops = 2.0 * TOKENS * layers * (4 * width * width + 2 * width * inner + 2 * TOKENS * width)
        exact = Encoder(w, heads, layers, torch.float32)
        for precision, dtype in (("float32", torch.float32), ("float16", torch.float16), ("bfloat16", torch.bfloat16)):
            if only and f"{name}:{precision}" not in only:
                continue
            error, size, _ = check(program, model, exact, folder, precision)
            print(f"{name} {precision}: largest difference from PyTorch's float32 {error:.1e} of {size:.2f}", flush=True)
            if precision == "bfloat16":
                continue
            encoder = Encoder(w, heads, layers, dtype)
            for batch, threads in ((1, (1, 2, 4, 8)), (8, (1, 2)), (256, (1, 2))):
                works = [Graphs(encoder, batch, max(threads))]
                if compiles and precision == "float16":
                    works.append(Graphs(torch.compile(encoder, mode="max-autotune-no-cudagraphs"), batch, max(threads)))
                ours, peers = {t: [] for t in threads}, {t: [] for t in threads}
                for _ in range(ROUNDS):
                    rates = heddle(program, model, batch, threads, precision, seconds)
                    for t in threads:
                        ours[t].append(rates[t] * batch)
                        peers[t].append([g.rate(t, seconds) * batch for g in works])
                for t in threads:
                    ratios = [o / max(p) for o, p in zip(ours[t], peers[t])]
                    mine = statistics.median(ours[t])
                    print(f"{name} {precision} batch {batch} threads {t}: ours {mine:.0f}/s, PyTorch", [round(statistics.median(p)) for p in zip(*peers[t])],
                          f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}), {mine * flops * 1e-12:.0f} TFLOP/s", flush=True)
                del works
            print(f"{name} {precision} through the batch queue, 8 threads, 16 in flight each:", batched(program, model, precision, 2 * seconds), flush=True)


main()
