/* Mutants of ONNX models: changes of the structure that mostly leave a model one that runs. Nodes of the operators'
 * table, their operands made to fit; shapes and types changed everywhere at once; nodes put into branches, loops and
 * functions; constants made inputs; beside these, any field of any message is changed.
 *
 * Thread-safety: any thread. */
#ifndef HD_FUZZ_GRAPH_MUTATION_H
#define HD_FUZZ_GRAPH_MUTATION_H

#include <stddef.h>
#include <stdint.h>

/* Writes a mutant of the model in data[0..size) to it and returns its size, at most `capacity`. What is no model
 * begins as an empty one. other: a model of which a copy becomes a part; NULL: none. The same for the same seed. */
size_t graph_mutate(uint8_t *data, size_t size, size_t capacity, const uint8_t *other,
                    size_t other_size, uint64_t seed);

/* Initializers of these names may be overridden in a run. */
#define GRAPH_OVERRIDE_NAMES {"o0", "o1", "o2", "o3"}
#define GRAPH_OVERRIDE_COUNT 4

#endif
