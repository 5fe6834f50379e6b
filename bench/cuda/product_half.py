#!/usr/bin/env python3
"""usage: product_half.py LIBRARY
Checks the float16 and bfloat16 product kernels (against double precision; all tiles have the same bits, and a row alone those that it
has among others) and times them beside PyTorch's linear (cuBLASLt), replayed as CUDA graphs, in turns."""
import ctypes, sys
import torch
from timing import measure

library = ctypes.CDLL(sys.argv[1])
P = ctypes.c_void_p
COUNT = library.product_kernels()
TILES = [divmod(library.product_tile(i), 1000) for i in range(COUNT)]  # rows, columns
IDENTITY, RELU, GELU = 0, 1, 2


def panels(w):
    """[K, N] as the kernels read it."""
    k, n = w.shape
    full = torch.zeros((k + 63) // 64 * 64, n, device=w.device, dtype=w.dtype)
    full[:k] = w
    groups = full.view(-1, 8, 8, n).permute(0, 3, 1, 2)  # [panel, column, group, element]
    column, place = torch.arange(n, device=w.device)[:, None], torch.arange(8, device=w.device)[None, :]
    return groups[:, column, place ^ (column % 8)].contiguous()


def launch(index, x, w, y, bias=None, residual=None, activation=IDENTITY):
    pointer = lambda t: None if t is None else t.data_ptr()
    kind = lambda t: int(t is not None and t.dtype == torch.float32)
    return library.product_launch(index, int(x.dtype == torch.bfloat16), *(P(pointer(t)) for t in (x, w, bias, residual, y)), x.shape[0], y.shape[1],
                                  x.shape[1], kind(residual), kind(y), activation, P(torch.cuda.current_stream().cuda_stream))


def check(dtype, m, n, k, bias, residual, activation, out):
    x, w = torch.randn(m, k, device="cuda").to(dtype), (torch.randn(k, n, device="cuda") / k ** 0.5).to(dtype)
    b = torch.randn(n, device="cuda") if bias else None
    r = torch.randn(m, n, device="cuda").to(residual) if residual else None
    packed = panels(w)
    want = x.double() @ w.double() + (b.double() if bias else 0) + (r.double() if residual else 0)
    want = want.relu() if activation == RELU else torch.nn.functional.gelu(want) if activation == GELU else want
    wrong, first = 0, None
    bits = torch.int32 if out == torch.float32 else torch.int16
    for i in range(COUNT):
        y = torch.full((m, n), float("nan"), device="cuda", dtype=out)
        code = launch(i, x, packed, y, b, r, activation)
        torch.cuda.synchronize()
        first = y if first is None else first
        limit = {torch.float32: 2e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}[out]
        error = ((y.double() - want).abs() / want.abs().clamp(min=1)).max().item()
        same = torch.equal(y.view(bits), first.view(bits))
        row = m // 2
        one = torch.full((1, n), float("nan"), device="cuda", dtype=out)
        launch(i, x[row:row + 1], packed, one, b, None if r is None else r[row:row + 1], activation)
        torch.cuda.synchronize()
        alone = torch.equal(one[0].view(bits), first[row].view(bits))
        if not (code == 0 and error < limit and same and alone):
            print(f"{dtype} {m}x{n}x{k} bias {bias} residual {residual} activation {activation} tile {TILES[i]}: code {code} error {error:.2e} same {same} alone {alone}")
            wrong += 1
    return wrong


def main():
    print(torch.cuda.get_device_name(), torch.__version__)
    torch.manual_seed(1)
    half, bfloat, single = torch.float16, torch.bfloat16, torch.float32
    wrong = 0
    for m, n, k in ((1, 8, 8), (1, 384, 384), (7, 40, 72), (64, 64, 64), (65, 200, 136), (128, 1536, 384), (129, 264, 1000), (300, 384, 1536), (200, 2304, 768)):
        for dtype in (half, bfloat):
            wrong += check(dtype, m, n, k, False, None, IDENTITY, dtype)
            wrong += check(dtype, m, n, k, True, dtype, GELU, dtype)
            wrong += check(dtype, m, n, k, True, single, RELU, single)
    print(f"{wrong} wrong")
    # The class of bits that cuBLASLt gives.
    for k in (64, 384, 1536):
        x, w = torch.randn(4096, k, device="cuda", dtype=half), torch.randn(k, 384, device="cuda", dtype=half) / k ** 0.5
        y = torch.empty(4096, 384, device="cuda", dtype=half)
        launch(COUNT - 1, x, panels(w), y)
        print(f"K {k}: elements that differ from cuBLASLt's: {(y.view(torch.int16) != (x @ w).view(torch.int16)).sum().item()}")
    for n, k, activation in ((1152, 384, IDENTITY), (384, 384, IDENTITY), (1536, 384, GELU), (384, 1536, IDENTITY), (2304, 768, IDENTITY), (768, 768, IDENTITY),
                             (3072, 768, GELU), (768, 3072, IDENTITY)):
        for m in (1, 128, 512, 1024, 4096, 32768):
            count = 3 if m > 1024 else 20
            xs = [torch.randn(m, k, device="cuda", dtype=half) for _ in range(3)]
            w = torch.randn(k, n, device="cuda", dtype=half) / k ** 0.5
            t, b, packed = w.t().contiguous(), torch.randn(n, device="cuda"), panels(w)
            half_b, y = b.half(), torch.empty(m, n, device="cuda", dtype=half)
            linear = torch.nn.functional.linear
            works = [lambda i: linear(xs[i % 3], t, half_b), lambda i: torch.nn.functional.gelu(linear(xs[i % 3], t, half_b))]
            works += [lambda i, j=j: launch(j, xs[i % 3], packed, y, b, None, activation) for j in range(COUNT)]
            times = measure(works, count, 5)
            peer = times[1] if activation == GELU else times[0]
            best = min(times[2:])
            tile = TILES[times[2:].index(best)]
            print(f"{m}x{n}x{k}: cuBLASLt {times[0]:.2f}, with GELU {times[1]:.2f}; ours {best:.2f} {tile} ratio {peer / best:.2f}, "
                  f"{2e-6 * m * n * k / best:.0f} TFLOP/s;", [round(x, 2) for x in times[2:]], flush=True)
    return 1 if wrong else 0


sys.exit(main())
