#!/usr/bin/env python3
"""usage: attention.py LIBRARY
Checks the attention kernels (against double precision; a query's bits do not depend on the other queries, the batch or the
warps of a block) and times them beside PyTorch's scaled_dot_product_attention, both replayed as CUDA graphs, in turns."""
import ctypes, sys
import torch
from timing import measure

library = ctypes.CDLL(sys.argv[1])
P, I, L, F = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong, ctypes.c_float


WAYS = {32: (1, 2, 4), 64: (104,), 128: (104,)}  # warps of a block; 104: four, of attention_wgmma.cu


class Attention(ctypes.Structure):
    _fields_ = [(n, P) for n in ("q", "k", "v", "mask", "y")] + [(n, I) for n in ("batch", "heads", "queries", "keys")] + [("scale", F)] + [
        (n, I) for n in ("q_stride", "k_stride", "v_stride", "y_stride")] + [
        (n, L) for n in ("q_batch", "k_batch", "v_batch", "y_batch", "mask_batch", "mask_head", "mask_query", "mask_key")]


def launch(q, k, v, y, d, warps, mask=None):
    """q, y [B, T, H*D]; k, v [B, S, H*D], tokens contiguous; mask of 4 dimensions, broadcast."""
    batch, queries, width = q.shape
    keys, heads = k.shape[1], width // d
    strides = (0, 0, 0, 0) if mask is None else mask.expand(batch, heads, queries, keys).stride()
    p = Attention(q.data_ptr(), k.data_ptr(), v.data_ptr(), None if mask is None else mask.data_ptr(), y.data_ptr(), batch, heads, queries,
                  keys, d ** -0.5, q.stride(1), k.stride(1), v.stride(1), y.stride(1), q.stride(0), k.stride(0), v.stride(0), y.stride(0), *strides)
    return library.attention_launch(d, warps, int(q.dtype == torch.bfloat16), ctypes.byref(p),
                                    ctypes.c_void_p(torch.cuda.current_stream().cuda_stream))


def split(x, d):
    return x.unflatten(2, (-1, d)).transpose(1, 2)


def check(dtype, d, batch, heads, queries, keys, masked):
    q = torch.randn(batch, queries, heads * d, device="cuda").to(dtype)
    k, v = (torch.randn(batch, keys, heads * d, device="cuda").to(dtype) for _ in range(2))
    mask = None
    if masked:
        shape = [(batch, 1, 1, keys), (1, heads, queries, keys), (batch, heads, queries, keys)][masked - 1]
        mask = torch.where(torch.rand(shape, device="cuda") < 0.3, float("-inf"), torch.randn(shape, device="cuda"))
        mask[..., 0] = 0.5
    want = torch.softmax(split(q, d).double() @ split(k, d).double().transpose(2, 3) * d ** -0.5 +
                         (0 if mask is None else mask.double()), 3) @ split(v, d).double()
    wrong = 0
    first = None
    for warps in WAYS[d]:
        y = torch.full_like(q, float("nan"))
        code = launch(q, k, v, y, d, warps, mask)
        torch.cuda.synchronize()
        error = (split(y, d).double() - want).abs().max().item()
        limit = 2e-3 if dtype == torch.float16 else 1.6e-2
        first = y if first is None else first
        same = torch.equal(first.view(torch.int16), y.view(torch.int16))
        if not (code == 0 and error < limit and same):
            print(f"{dtype} D {d} {batch}x{heads}x{queries}x{keys} mask {masked} warps {warps}: code {code} error {error:.2e} same {same}")
            wrong += 1
    one = torch.full((1, 1, heads * d), float("nan"), device="cuda", dtype=dtype)
    b, t = batch - 1, queries // 2
    m = None if mask is None else mask.expand(batch, heads, queries, keys)[b:b + 1, :, t:t + 1]
    launch(q[b:b + 1, t:t + 1], k[b:b + 1], v[b:b + 1], one, d, WAYS[d][0], m)
    torch.cuda.synchronize()
    if not torch.equal(one[0, 0].view(torch.int16), first[b, t].view(torch.int16)):
        print(f"{dtype} D {d} {batch}x{heads}x{queries}x{keys} mask {masked}: a query alone has other bits")
        wrong += 1
    return wrong


def main():
    print(torch.cuda.get_device_name(), torch.__version__)
    wrong = sum(check(dtype, d, *shape, masked) for dtype in (torch.float16, torch.bfloat16) for d in (32, 64, 128) for masked in (0, 1, 2, 3)
                for shape in ((1, 1, 1, 1), (2, 3, 17, 5), (1, 2, 128, 128), (3, 2, 70, 65), (2, 1, 33, 300)))
    y = torch.zeros(1, 2, 32, device="cuda", dtype=torch.float16)
    launch(y, y, y, y.clone(), 32, 1)
    for d, batch, heads, tokens in ((32, 1, 12, 128), (64, 1, 12, 128), (32, 8, 12, 128), (64, 8, 12, 128), (32, 256, 12, 128), (64, 256, 12, 128),
                                    (64, 4, 16, 2048), (128, 4, 16, 2048)):
        packed = [torch.randn(batch, tokens, 3 * heads * d, device="cuda", dtype=torch.float16) for _ in range(3)]
        y = torch.empty(batch, tokens, heads * d, device="cuda", dtype=torch.float16)
        mask = torch.zeros(batch, 1, 1, tokens, device="cuda")
        half_mask = mask.half()
        ways = WAYS[d]
        parts = lambda i: packed[i % 3].chunk(3, 2)
        works = [lambda i: torch.nn.functional.scaled_dot_product_attention(*(split(x, d) for x in parts(i))),
                 lambda i: torch.nn.functional.scaled_dot_product_attention(*(split(x, d) for x in parts(i)), attn_mask=half_mask)]
        works += [lambda i, w=w: launch(*parts(i), y, d, w) for w in ways]
        works += [lambda i, w=w: launch(*parts(i), y, d, w, mask) for w in ways]
        times = measure(works, 10)
        n = len(ways)
        flops = 4.0 * batch * heads * tokens * tokens * d
        best, best_masked = min(times[2:2 + n]), min(times[2 + n:])
        print(f"D {d} {batch}x{heads}x{tokens}: PyTorch {times[0]:.2f}, masked {times[1]:.2f}; ours {ways}",
              [round(t, 2) for t in times[2:2 + n]], "masked", [round(t, 2) for t in times[2 + n:]],
              f"ratio {times[0] / best:.2f}, masked {times[1] / best_masked:.2f}, {flops / best * 1e-6:.1f} TFLOP/s")
    print(f"{wrong} wrong")
    return 1 if wrong else 0


sys.exit(main())
