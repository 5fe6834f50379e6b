#!/bin/sh
# Builds the CUDA kernels, checks them and times them beside cuBLASLt and PyTorch in the same run; needs nvcc, an NVIDIA GPU of
# compute capability 9.0, its driver, and a python3 with PyTorch. Results go to standard output; exit 1 when a check fails.
set -u
cd "$(dirname "$0")" || exit 1
build=$(mktemp -d) || exit 1
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
flags="-std=c++17 -O3 -gencode=arch=compute_90,code=sm_90"
"$nvcc" $flags -o "$build/product" product.cu -lcublasLt &
for name in rows attention; do
    "$nvcc" $flags -shared -Xcompiler -fPIC -o "$build/$name.so" $name.cu || exit 1
done
"$nvcc" -std=c++17 -O3 -gencode=arch=compute_90a,code=sm_90a -shared -Xcompiler -fPIC -o "$build/product_half.so" product_half.cu || exit 1
wait $! || exit 1
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv,noheader
result=0
for name in rows attention product_half; do
    python3 $name.py "$build/$name.so" || result=1
done
"$build/product" || result=1
rm -r "$build"
exit $result
