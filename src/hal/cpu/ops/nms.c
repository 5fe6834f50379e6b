/* Nms: NonMaxSuppression: of each class and batch entry the best boxes that do not overlap a better
 * one. One tile, since how many are found before decides where the next ones are written. */
#include "hal/cpu/ops/spatial.h"

#include "base/stop.h"

typedef struct nms_parameters {
    int64_t batch, classes, boxes;
    int64_t capacity; /* rows of the output */
    bool centers;     /* boxes are centre and size, not corners */
    bool has_limit, has_overlap, has_threshold;
    size_t input_count;
} nms_parameters;

typedef struct corners {
    float top, left, bottom, right;
} corners;

static corners corners_of(const nms_parameters *p, const float *box)
{
    if (p->centers) {
        return (corners){box[1] - box[3] / 2.0f, box[0] - box[2] / 2.0f, box[1] + box[3] / 2.0f,
                         box[0] + box[2] / 2.0f};
    }
    return (corners){box[0] < box[2] ? box[0] : box[2], box[1] < box[3] ? box[1] : box[3],
                     box[0] < box[2] ? box[2] : box[0], box[1] < box[3] ? box[3] : box[1]};
}

static bool overlap(corners a, corners b, float most)
{
    float top = a.top > b.top ? a.top : b.top, left = a.left > b.left ? a.left : b.left;
    float bottom = a.bottom < b.bottom ? a.bottom : b.bottom;
    float right = a.right < b.right ? a.right : b.right;
    if (!(bottom > top && right > left)) {
        return false;
    }
    float shared = (bottom - top) * (right - left);
    float all =
        (a.bottom - a.top) * (a.right - a.left) + (b.bottom - b.top) * (b.right - b.left) - shared;
    return all > 0.0f && shared / all > most;
}

/* Whether box a comes after box b: lower score, or the same and a higher number. */
static bool is_after(const float *scores, int32_t a, int32_t b)
{
    return scores[a] < scores[b] || (scores[a] == scores[b] && a > b);
}

static void sift(const float *scores, int32_t *heap, int64_t root, int64_t count)
{
    for (int64_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && is_after(scores, heap[child + 1], heap[child])) {
            child++;
        }
        if (!is_after(scores, heap[child], heap[root])) {
            return;
        }
        int32_t moved = heap[root];
        heap[root] = heap[child];
        heap[child] = moved;
        root = child;
    }
}

/* Heapsort, best box first: in place, and bounded whatever the scores are. */
static void sort_boxes(const float *scores, int32_t *order, int64_t count)
{
    for (int64_t i = count / 2; i-- > 0 && !hd_stop_ends(i);) {
        sift(scores, order, i, count);
    }
    for (int64_t last = count - 1; last > 0 && !hd_stop_ends(last); last--) {
        int32_t moved = order[0];
        order[0] = order[last];
        order[last] = moved;
        sift(scores, order, 0, last);
    }
}

static int64_t select_boxes(const nms_parameters *p, const float *boxes, const float *scores,
                            int64_t limit, float most, const float *threshold, int32_t *order)
{
    int64_t candidates = 0, selected = 0;
    for (int64_t i = 0; i < p->boxes && !hd_stop_ends(i); i++) {
        bool counts = threshold == NULL ? scores[i] == scores[i] : scores[i] > *threshold;
        if (counts) {
            order[candidates++] = (int32_t)i;
        }
    }
    sort_boxes(scores, order, candidates);
    for (int64_t i = 0; i < candidates && selected < limit && !hd_stop_ends_every(i, 16); i++) {
        corners box = corners_of(p, boxes + order[i] * 4);
        bool free = true;
        for (int64_t k = 0; k < selected && free && !hd_stop_ends(k); k++) {
            free = !overlap(box, corners_of(p, boxes + order[k] * 4), most);
        }
        if (free) {
            order[selected++] = order[i];
        }
    }
    return selected;
}

static void run_nms(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                    void *scratch)
{
    const nms_parameters *p = parameters;
    if (begin >= end) {
        return;
    }
    size_t output = p->input_count;
    int64_t limit = p->has_limit ? *(const int64_t *)buffers[2] : 0;
    float most = p->has_overlap ? *(const float *)buffers[3] : 0.0f;
    const float *threshold = p->has_threshold ? buffers[4] : NULL;
    int64_t *rows = buffers[output], *dims = buffers[output + 1], count = 0;
    /* Where there is no room there may be more classes of no boxes than a walk ends with. */
    for (int64_t i = 0; i < p->batch * p->classes && p->capacity > 0 && hd_stop_asked() == HD_OK;
         i++) {
        int64_t n = i / p->classes, room = p->capacity - count;
        const float *boxes = (const float *)buffers[0] + n * p->boxes * 4;
        const float *scores = (const float *)buffers[1] + i * p->boxes;
        int64_t found =
            select_boxes(p, boxes, scores, limit < room ? limit : room, most, threshold, scratch);
        for (int64_t k = 0; k < found; k++, count++) {
            rows[count * 3] = n;
            rows[count * 3 + 1] = i % p->classes;
            rows[count * 3 + 2] = ((const int32_t *)scratch)[k];
        }
    }
    dims[0] = count;
    dims[1] = 3;
}

hd_status hd_cpu_nms_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_status status = hd_cpu_spatial_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    nms_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const hd_shape *scores = &operation->inputs[1].shape;
    if (scores->dims[2] > INT32_MAX || operation->inputs[1].dtype != HD_FLOAT32) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "there is no kernel for so many boxes, or for this type");
    }
    p->batch = scores->dims[0];
    p->classes = scores->dims[1];
    p->boxes = scores->dims[2];
    p->capacity = operation->outputs[0].shape.dims[0];
    p->centers = hd_operation_int(operation, "center_point_box", 0) != 0;
    p->has_limit = hd_operation_has(operation, 2);
    p->has_overlap = hd_operation_has(operation, 3);
    p->has_threshold = hd_operation_has(operation, 4);
    p->input_count = operation->input_count;
    compilation->kernel.run = run_nms;
    compilation->kernel.scratch_size = (size_t)p->boxes * sizeof(int32_t);
    return HD_OK;
}
