/* Subject: a model whose bits are compared, one of the ten cases or MiniLM, with inputs that differ
 * from thread to thread, through the public interface alone.
 *
 * Thread-safety: one thread at a time, except subject_run. */
#ifndef HD_TEST_SUBJECT_H
#define HD_TEST_SUBJECT_H

#include "cli/cases.h"
#include "heddle/heddle.h"

#define SUBJECT_COUNT   (CASE_COUNT + 1)
#define SUBJECT_TENSORS 8 /* inputs or outputs, at most */
#define SUBJECT_MINILM  CASE_COUNT
#define SUBJECT_THREADS 16

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SUBJECT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SUBJECT_SANITIZED 1
#endif
#endif
#ifndef SUBJECT_SANITIZED
#define SUBJECT_SANITIZED 0
#endif

/* The file of MiniLM, or NULL: then that subject is left out. Set by main(). */
extern const char *subject_minilm_path;

typedef struct subject {
    const char *name;
    const hd_case_definition *definition; /* NULL: MiniLM */
    hd_case_weights weights;
    hd_case_inputs inputs;
    int64_t *tokens; /* MiniLM: SUBJECT_THREADS rows of ids, then as many of masks and of zeros */
    size_t input_count;
    size_t output_count;
    size_t input_sets; /* thread i has inputs of its own where i < input_sets */
} subject;

/* The inputs of one run, or its outputs. */
typedef struct subject_tensors {
    hd_tensor tensors[SUBJECT_TENSORS];
} subject_tensors;

/* Weights and inputs of the index-th subject for up to SUBJECT_THREADS threads; fails the test if
 * memory runs out. False: the subject is MiniLM and there is no file. */
bool subject_open(size_t index, subject *out_subject);
void subject_close(subject *subject);

/* Its model on a device, with dimensions that may differ from run to run. Fails the test. */
hd_model *subject_load(subject *subject, hd_device *device);
/* One whose inputs can be stacked along dimension 0, as a batch queue does. Not for MiniLM, whose
 * model is such a one. */
hd_model *subject_load_stacked(subject *subject, hd_device *device);

/* The inputs of a thread. */
subject_tensors subject_inputs(const subject *subject, size_t thread);

/* Rows `first` to `first + count` along dimension 0 of the inputs of thread 0, cut into
 * subject_row_count rows. Of a product of two matrices they are the left one's; the right one stays. */
subject_tensors subject_rows(const subject *subject, int64_t first, int64_t count);
int64_t subject_row_count(const subject *subject);

/* For the stacked model: the inputs of threads `first` to `first + count`, one after the other in
 * memory of their own, to be given to subject_free_stacked. */
subject_tensors subject_stacked(const subject *subject, size_t first, size_t count);
void subject_free_stacked(const subject *subject, subject_tensors *stacked);

/* The `turn`-th of inputs of changing shapes, for a thread that keeps making plans. */
subject_tensors subject_reshaped(const subject *subject, size_t turn);

/* Runs; empty outputs are allocated by the library. */
hd_status subject_run(const subject *subject, hd_model *model, const subject_tensors *inputs,
                      subject_tensors *outputs, hd_error *error);
void subject_release(const subject *subject, subject_tensors *outputs);

/* Equal types, shapes and bits; otherwise a line on standard error says where they differ. */
bool subject_equal(const subject *subject, const subject_tensors *outputs,
                   const subject_tensors *expected, const char *what);

#endif
