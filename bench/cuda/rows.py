#!/usr/bin/env python3
"""usage: rows.py LIBRARY
Checks the row kernels (against double precision, and that a row's bits do not depend on the number of rows) and times them beside
PyTorch, both replayed as CUDA graphs, in turns."""
import ctypes, sys
import torch
from timing import measure

library = ctypes.CDLL(sys.argv[1])


class Rows(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in ("x", "residual", "scale", "bias", "y", "sum")] + [
        ("rows", ctypes.c_int), ("length", ctypes.c_int), ("epsilon", ctypes.c_float), ("kind", ctypes.c_int)] + [(n, ctypes.c_int) for n in ("x_kind", "residual_kind", "y_kind", "sum_kind")]


def launch(group, norm, x, y, kind=0, scale=None, bias=None, residual=None, aligned=True):
    pointer = lambda t: None if t is None else t.data_ptr()
    p = Rows(pointer(x), pointer(residual), pointer(scale), pointer(bias), pointer(y), None, x.shape[0], x.shape[1], 1e-5, kind)
    return library.rows_launch(group, int(norm), int(aligned), ctypes.byref(p), ctypes.c_void_p(torch.cuda.current_stream().cuda_stream))


def check(group, norm, kind, rows, length):
    x = torch.randn(rows, length, device="cuda") * 3
    scale, bias = torch.randn(length, device="cuda"), torch.randn(length, device="cuda")
    residual = torch.randn(rows, length, device="cuda") if norm else None
    y = torch.full_like(x, float("nan"))
    aligned = length % 4 == 0
    code = launch(group, norm, x, y, kind, scale, bias, residual, aligned)
    if code == -1:
        return 0
    torch.cuda.synchronize()
    d = x.double()
    if norm:
        want = torch.nn.functional.layer_norm(d + residual.double(), (length,), scale.double(), bias.double(), 1e-5)
    else:
        want = torch.softmax(d, 1) if kind == 0 else torch.log_softmax(d, 1)
    error = ((y.double() - want).abs() / want.abs().clamp(min=1e-2 if not norm and kind == 0 else 1)).max().item()
    one = torch.full((1, length), float("nan"), device="cuda")
    row = rows // 2
    launch(group, norm, x[row:row + 1].clone(), one, kind, scale, bias, None if residual is None else residual[row:row + 1].clone(), aligned)
    torch.cuda.synchronize()
    same = torch.equal(one[0].view(torch.int32), y[row].view(torch.int32))
    ok = code == 0 and error < 4e-6 and same
    if not ok:
        print(f"group {group} norm {norm} kind {kind} {rows}x{length}: code {code} error {error:.2e} same bits {same}")
    return 0 if ok else 1


def main():
    print(torch.cuda.get_device_name(), torch.__version__)
    wrong = sum(check(g, n, k, r, l) for g in range(13) for n, k in ((False, 0), (False, 1), (True, 0)) for r, l in
                ((5, 8), (7, 255), (33, 256), (9, 700), (8, 768), (3, 1000), (2, 4095), (3, 4096), (3, 30001), (2, 32000)))
    print(f"{wrong} wrong")
    for rows, length, groups in ((8192, 768, (1, 2, 3, 4)), (16 * 128, 384, (1, 2, 3, 4)), (8192, 3072, (5, 6)), (8192, 4096, (5, 6))):
        xs = [torch.randn(rows, length, device="cuda") for _ in range(4)]
        y = torch.empty_like(xs[0])
        scale, bias = torch.randn(length, device="cuda"), torch.randn(length, device="cuda")
        groups = [g for g in groups if launch(g, True, xs[0], y, 0, scale, bias) == 0]
        times = measure([lambda i: torch.nn.functional.layer_norm(xs[i % 4], (length,), scale, bias)] +
                        [lambda i, g=g: launch(g, True, xs[i % 4], y, 0, scale, bias) for g in groups], 20)
        best = min(times[1:])
        print(f"layer norm {rows}x{length}: PyTorch {times[0]:.2f}, ours", dict(zip(groups, (round(t, 2) for t in times[1:]))),
              f"ratio {times[0] / best:.2f}, {8 * rows * length / best * 1e-6:.2f} TB/s")
    for rows, length, groups in ((512, 32000, (6, 7, 8, 9, 10, 11, 12)), (12 * 128 * 8, 128, (0, 1, 2)), (4096, 1024, (2, 5)), (2048, 4096, (5, 6, 9))):
        xs = [torch.randn(rows, length, device="cuda") for _ in range(4)]
        y = torch.empty_like(xs[0])
        groups = [g for g in groups if launch(g, False, xs[0], y) == 0]
        times = measure([lambda i: torch.softmax(xs[i % 4], 1)] + [lambda i, g=g: launch(g, False, xs[i % 4], y) for g in groups], 10)
        best = min(times[1:])
        print(f"softmax {rows}x{length}: PyTorch {times[0]:.2f}, ours", dict(zip(groups, (round(t, 2) for t in times[1:]))),
              f"ratio {times[0] / best:.2f}, {8 * rows * length / best * 1e-6:.2f} TB/s")
    return 1 if wrong else 0


sys.exit(main())
