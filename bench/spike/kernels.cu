// Kernels of the GPU spike; loaded as a cubin by the three programs beside this file.
typedef unsigned int u32;
typedef unsigned long long u64;

// out = 3 a + b (mod 2^32): reversible in a, so a wrong binding anywhere in a chain shows in the
// end. A null pointer means "look in the binding table": slot 0 for a, 1 for b, 2 for out.
extern "C" __global__ void step(u32 *const *table, const u32 *a, const u32 *b, u32 *out, int count)
{
    if (!a)
        a = table[0];
    if (!b)
        b = table[1];
    if (!out)
        out = table[2];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        out[i] = 3u * a[i] + b[i];
}

extern "C" __global__ void set_table(u64 *table, u64 a, u64 b, u64 out)
{
    table[0] = a, table[1] = b, table[2] = out;
}

// Up to two copies of whole arrays in one kernel: inputs into the arena, or outputs out of it.
extern "C" __global__ void copy_pair(const u32 *a, u32 *to_a, const u32 *b, u32 *to_b, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        to_a[i] = a[i];
    if (i < count && b)
        to_b[i] = b[i];
}

extern "C" __global__ void spin(u64 nanoseconds)
{
    long long start = clock64(), cycles = (long long)(nanoseconds * 1.98);
    while (clock64() - start < cycles) {
    }
}

extern "C" __global__ void store_word(volatile u64 *word, u64 value)
{
    __threadfence_system();
    *word = value;
}

extern "C" __global__ void trap(void)
{
    __trap();
}

extern "C" __global__ void wild_store(u32 *address)
{
    *address = 1;
}
