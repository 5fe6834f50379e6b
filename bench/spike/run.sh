#!/bin/sh
# Builds and runs the GPU spike; needs nvcc, an NVIDIA GPU and its driver. Results go to standard output.
set -u
cd "$(dirname "$0")" || exit 1
build=$(mktemp -d) || exit 1
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
cuda=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
driver=$(ldconfig -p | sed -n 's/.*=> \(.*libcuda\.so\.1\)$/\1/p' | head -n 1)
"$nvcc" -arch=native -cubin -o "$build/kernels.cubin" kernels.cu || exit 1
for name in fault timeline rebind; do
    "${CC:-cc}" -O2 -Wall -Wextra -I"$cuda/include" -o "$build/$name" "$name.c" "${driver:--lcuda}" -lpthread || exit 1
done
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm --format=csv,noheader
"$nvcc" --version | tail -n 2
uname -r; grep -m 1 'model name' /proc/cpuinfo; nproc
cd "$build" || exit 1
timeout 30 ./fault bystander &
for which in primary own idle alone second; do
    for fault in trap wild; do timeout 30 ./fault "$which" "$fault" || echo "exit $?"; done
done
wait
timeout 60 ./timeline || echo "exit $?"
timeout 120 ./rebind || echo "exit $?"
cd / && rm -r "$build"
