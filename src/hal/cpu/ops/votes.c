/* "heddle.Votes": classes and probabilities from sums of pairs of classes (operation/votes.h). */
#include "operation/votes.h"

#include <math.h>
#include <sleef.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/trees.h"

#define TURNS_MOST 100

typedef struct votes_parameters {
    int64_t rows;
    int64_t tile_count;
} votes_parameters;

/* What a thread needs for a row. */
typedef struct votes_scratch {
    int64_t *votes; /* one a class */
    float *pairs;   /* [i][j]: that i wins over j */
    float *q;       /* [i][j] */
    float *qp;      /* one a class */
} votes_scratch;

static votes_scratch take_scratch(void *scratch, int64_t classes)
{
    votes_scratch taken = {.votes = scratch};
    taken.pairs = (float *)(taken.votes + classes);
    taken.q = taken.pairs + classes * classes;
    taken.qp = taken.q + classes * classes;
    return taken;
}

/* The class with most votes, the first of equals. */
static int64_t count_votes(const float *sums, int64_t classes, int64_t *votes)
{
    memset(votes, 0, (size_t)classes * sizeof *votes);
    int64_t pair = 0, best = 0;
    for (int64_t i = 0; i < classes; i++) {
        for (int64_t j = i + 1; j < classes; j++) {
            votes[sums[pair++] > 0 ? i : j]++;
        }
    }
    for (int64_t i = 1; i < classes; i++) {
        best = votes[i] > votes[best] ? i : best;
    }
    return best;
}

/* 1 / (1 + exp(x)), which loses nothing to an exponential of a large number. */
static float fermi(float x)
{
    const float half = 1 / (1 + Sleef_expf_u10(-fabsf(x)));
    return 1 - (x < 0 ? 1 - half : half);
}

static void find_pairs(const hd_votes *rule, const float *sums, float *pairs)
{
    const int64_t classes = rule->class_count, count = hd_votes_pairs(classes);
    int64_t pair = 0;
    for (int64_t i = 0; i < classes; i++) {
        for (int64_t j = i + 1; j < classes; j++, pair++) {
            float wins = fermi(sums[pair] * rule->numbers[pair] + rule->numbers[count + pair]);
            wins = wins < 1e-7f ? 1e-7f : wins > 1 - 1e-7f ? 1 - 1e-7f : wins;
            pairs[i * classes + j] = wins;
            pairs[j * classes + i] = 1 - wins;
        }
    }
}

/* One probability a class from those of pairs: the second method of Wu, Lin and Weng, "Probability Estimates for Multi-class
 * Classification by Pairwise Coupling" (Journal of Machine Learning Research 5, 2004), algorithm 2. */
static void couple(const votes_scratch *s, int64_t classes, float *p)
{
    const float *r = s->pairs;
    float *q = s->q, *qp = s->qp;
    for (int64_t i = 0; i < classes; i++) {
        p[i] = 1 / (float)classes;
        float own = 0;
        for (int64_t j = 0; j < classes; j++) {
            if (j != i) {
                own += r[j * classes + i] * r[j * classes + i];
                q[i * classes + j] = -r[j * classes + i] * r[i * classes + j];
            }
        }
        q[i * classes + i] = own;
    }
    for (int turn = 0; turn < TURNS_MOST && !hd_stop_ends_every(turn, 8); turn++) {
        float all = 0, worst = 0;
        for (int64_t i = 0; i < classes; i++) {
            qp[i] = 0;
            for (int64_t j = 0; j < classes; j++) {
                qp[i] += q[i * classes + j] * p[j];
            }
            all += p[i] * qp[i];
        }
        for (int64_t i = 0; i < classes; i++) {
            const float error = fabsf(qp[i] - all);
            worst = error > worst ? error : worst;
        }
        if (worst < 0.005f / (float)classes) {
            break;
        }
        for (int64_t i = 0; i < classes; i++) {
            const float change = (all - qp[i]) / q[i * classes + i];
            p[i] += change;
            all = (all + change * (change * q[i * classes + i] + 2 * qp[i])) / (1 + change) /
                  (1 + change);
            for (int64_t j = 0; j < classes; j++) {
                qp[j] = (qp[j] + change * q[i * classes + j]) / (1 + change);
                p[j] /= 1 + change;
            }
        }
    }
}

static void write_scores(const hd_votes *rule, const float *sums, const votes_scratch *s,
                         float *scores)
{
    const int64_t classes = rule->class_count;
    if (rule->has_probabilities != 0) {
        find_pairs(rule, sums, s->pairs);
        couple(s, classes, scores);
    } else if (classes == 2) {
        scores[0] = -sums[0];
        scores[1] = sums[0];
    } else {
        memcpy(scores, sums, (size_t)hd_votes_pairs(classes) * sizeof *sums);
    }
}

static void run_votes(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    const votes_parameters *p = parameters;
    const hd_votes *rule = buffers[1];
    int64_t *chosen = buffers[2];
    float *scores = buffers[3];
    const int64_t classes = rule->class_count, pairs = hd_votes_pairs(classes);
    const int64_t columns = rule->has_probabilities != 0 || classes == 2 ? classes : pairs;
    const votes_scratch s = take_scratch(scratch, classes);
    const int64_t last = hd_cpu_tile_begin(p->rows, p->tile_count, end);
    for (int64_t r = hd_cpu_tile_begin(p->rows, p->tile_count, begin);
         r < last && !hd_stop_ends_every(r, 16); r++) {
        const float *sums = (const float *)buffers[0] + r * pairs;
        if (chosen != NULL) {
            chosen[r] = count_votes(sums, classes, s.votes);
        }
        if (scores != NULL) {
            write_scores(rule, sums, &s, scores + r * columns);
        }
    }
}

hd_status hd_cpu_compile_votes(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_votes *rule = operation->inputs[1].data;
    const int64_t classes = rule->class_count;
    votes_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->rows = operation->inputs[0].shape.dims[0];
    p->tile_count = hd_cpu_tile_count(p->rows, 20 * classes * classes);
    compilation->kernel.run = run_votes;
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.scratch_size =
        (size_t)classes * (sizeof(int64_t) + sizeof(float) * (size_t)(2 * classes + 1));
    return HD_OK;
}
