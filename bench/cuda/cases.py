#!/usr/bin/env python3
"""usage: cases.py HEDDLE [SECONDS]
The ten cases on one GPU, operations a second at 1, 2, 4, 8 and 16 threads: `HEDDLE bench cases --memory device` beside PyTorch,
eager and as a CUDA graph a thread, float32 without TF32, each thread on a stream of its own that it waits for after every operation,
operands in the device's memory. Heddle and PyTorch take turns, case by case, in three rounds; medians are printed, the spread as
lowest..highest ratio of a round to PyTorch's best of that round."""
import json, statistics, subprocess, sys, threading, time
import torch
import torch.nn.functional as F

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = True
THREADS = (1, 2, 4, 8, 16)
ROUNDS = 3


def randn(*shape):
    return torch.randn(*shape, device="cuda")


def weight(*shape):
    return torch.randn(*shape, device="cuda") / shape[-1] ** 0.5


def transformer():
    width, heads = 256, 4
    qkv, qkv_b, out, out_b = weight(3 * width, width), randn(3 * width), weight(width, width), randn(width)
    up, up_b, down, down_b = weight(1024, width), randn(1024), weight(width, 1024), randn(width)
    s1, b1, s2, b2 = randn(width), randn(width), randn(width), randn(width)

    def block(x):
        q, k, v = F.linear(x, qkv, qkv_b).view(4, 128, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(4, 128, width)
        x = F.layer_norm(x + F.linear(a, out, out_b), (width,), s1, b1)
        h = F.linear(F.gelu(F.linear(x, up, up_b)), down, down_b)
        return F.layer_norm(x + h, (width,), s2, b2)
    return block


def cases():
    w1, b1 = weight(256, 512), randn(256)
    w2, b2 = weight(2048, 2048), randn(2048)
    m1, m2, scale, bias = weight(512, 256), weight(1024, 1024), randn(768), randn(768)
    c, cb = randn(64, 3, 3, 3) / 27 ** 0.5, randn(64)
    return {
        "linear_16x512x256": ((16, 512), lambda x: F.linear(x, w1, b1)),
        "linear_64x2048x2048": ((64, 2048), lambda x: F.linear(x, w2, b2)),
        "matmul_256x512x256": ((256, 512), lambda x: x @ m1),
        "matmul_1024": ((1024, 1024), lambda x: x @ m2),
        "bmm_8x64x64x64": ((8, 64, 64), lambda x, y=randn(8, 64, 64): torch.bmm(x, y)),
        "layernorm_16x512x768": ((16, 512, 768), lambda x: F.layer_norm(x, (768,), scale, bias)),
        "softmax_4x128x32000": ((4, 128, 32000), lambda x: torch.softmax(x, -1)),
        "conv2d_4x3x224x224_64k3": ((4, 3, 224, 224), lambda x: F.conv2d(x, c, cb, padding=1)),
        "gelu_16x512x768": ((16, 512, 768), F.gelu),
        "transformer_b4s128d256h4": ((4, 128, 256), transformer()),
    }


def torch_rate(function, shape, threads, seconds, as_graph):
    counts, barrier, ends = [0] * threads, threading.Barrier(threads + 1, timeout=20), [0.0]
    prepared = [] # one after another: what is captured bears no company
    for _ in range(threads):
        stream, x, graph = torch.cuda.Stream(), randn(*shape), None
        torch.cuda.synchronize()
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(3):
                function(x)
            stream.synchronize()
            if as_graph:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, stream=stream):
                    kept = function(x)
        torch.cuda.synchronize()
        prepared.append((stream, x, graph, kept if as_graph else None))

    def work(index):
        stream, x, graph, _ = prepared[index]
        run = graph.replay if as_graph else lambda: function(x)
        with torch.inference_mode(), torch.cuda.stream(stream):
            run()
            stream.synchronize()
            barrier.wait()
            barrier.wait()
            while time.perf_counter() < ends[0]:
                run()
                stream.synchronize()
                counts[index] += 1
    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for w in workers:
        w.start()
    barrier.wait()
    ends[0] = time.perf_counter() + seconds
    begin = time.perf_counter()
    barrier.wait()
    for w in workers:
        w.join()
    return sum(counts) / (time.perf_counter() - begin)


def heddle_rates(program, name, seconds):
    out = subprocess.run([program, "bench", "cases", "--device", "cuda", "--memory", "device", "--case", name, "--via", "direct", "--repeat", "2",
                          "--threads", ",".join(map(str, THREADS)), "--seconds", str(seconds), "--json", "-"], capture_output=True, text=True)
    if out.returncode != 0:
        print(name, out.stderr.strip() or out.stdout[-300:])
        return {}
    found = {}
    def visit(node):
        if isinstance(node, dict):
            if "threads" in node and "ops_per_s" in node:
                found[node["threads"]] = node["ops_per_s"]
            for v in node.values():
                visit(v)
        elif isinstance(node, list):
            for v in node:
                visit(v)
    visit(json.loads(out.stdout))
    return found


def main():
    program, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.3
    print(torch.cuda.get_device_name(), "PyTorch", torch.__version__)
    print(f"{'case':26}{'threads':>8}{'eager':>10}{'graph':>10}{'Heddle':>10}{'ratio':>7}  of rounds")
    for name, (shape, function) in cases().items():
        rounds = []
        for _ in range(ROUNDS):
            ours = heddle_rates(program, name, seconds)
            theirs = {t: [torch_rate(function, shape, t, seconds, g) for g in (False, True)] for t in THREADS}
            rounds.append((ours, theirs))
        for t in THREADS:
            eager, graph = (statistics.median(r[1][t][g] for r in rounds) for g in (0, 1))
            ours = [r[0].get(t, float("nan")) for r in rounds]
            ratios = sorted(o / max(r[1][t]) for o, r in zip(ours, rounds))
            print(f"{name:26}{t:8}{eager:10.0f}{graph:10.0f}{statistics.median(ours):10.0f}{ratios[len(ratios) // 2]:7.2f}  {ratios[0]:.2f}..{ratios[-1]:.2f}", flush=True)


if __name__ == "__main__":
    main()
