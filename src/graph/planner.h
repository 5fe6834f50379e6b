/* Planner: turns a graph into a plan. It walks the nodes in order, with concrete shapes, folds what is
 * known, takes If and Loop apart, and collects the rest as plan nodes; passes then fuse them, choose
 * layouts, compile kernels and place the memory.
 *
 * Thread-safety: one thread at a time; each plan has a planner of its own. */
#ifndef HD_GRAPH_PLANNER_H
#define HD_GRAPH_PLANNER_H

#include "graph/budget.h"
#include "graph/folding.h"
#include "graph/plan.h"
#include "hal/packed.h"
#include "operation/fused.h"

struct hd_model;

/* A tensor of the plan: an operand of plan nodes. */
typedef struct hd_plan_tensor {
    hd_dtype dtype;
    hd_shape shape;
    const void *data; /* its elements, where they are known; those of an empty tensor always are */
    const hd_packed *packed;
    uint64_t origin; /* bit i: depends on the elements of model input i (63: any later one) */
    /* shares the memory of that tensor, no view itself; HD_TENSOR_NONE: has its own */
    hd_tensor_id view_of;
    hd_tensor_id extent;  /* int64[HD_MAX_RANK] with its true dimensions, or HD_TENSOR_NONE */
    int32_t input_index;  /* it is this model input; -1 */
    int32_t output_index; /* it is written straight to this model output; -1 */
    hd_tensor_id twin;    /* its copy in the other place, in this segment; HD_TENSOR_NONE */
    /* an hd_memory_place: where its memory is; small, for long chains of segments have many */
    uint8_t place;
    bool placed;   /* it has its offset in the arena already */
    bool kept;     /* a later segment or an output reads it */
    bool viewed;   /* another one is a view of it */
    size_t offset; /* in the arena */
    /* From hd_planner_count_uses on: */
    uint32_t use_count; /* by live nodes of this segment, and views that are in use */
    uint32_t first_use; /* in planner->uses, by those nodes, in their order; UINT32_MAX: none */
    uint32_t producer;  /* the live node of this segment that writes it, or UINT32_MAX */
} hd_plan_tensor;

typedef struct hd_plan_node {
    hd_operation operation; /* its operand arrays are the node's own */
    hd_tensor_id *inputs;   /* HD_TENSOR_NONE: left out */
    hd_tensor_id *outputs;  /* HD_TENSOR_NONE: nobody wants it */
    bool dead;
    hd_memory_place place;    /* who computes it */
    hd_plan_control *control; /* the part that it stands for; NULL: it is an operation */
    uint32_t first_use;       /* of as many entries of planner->uses as it has inputs */
    uint32_t next_dead;       /* in the list of those that have just died */
} hd_plan_node;

/* That a live node reads a tensor, as input `index - node.first_use`; entry of a list for each tensor. */
typedef struct hd_plan_use {
    uint32_t node;
    uint32_t next;
    uint32_t previous; /* UINT32_MAX: the first */
} hd_plan_use;

/* A block being walked. */
typedef struct hd_frame {
    const hd_block *block;
    size_t next;         /* the node to walk next */
    const hd_node *node; /* the If or Loop that opened it; NULL: the root */
    int64_t iteration;   /* Loop */
    int64_t trip_count;  /* Loop; -1: no limit */
    hd_tensor_id *scans; /* Loop: iteration-major, what is to be concatenated */
    size_t scan_capacity;
    size_t scan_count;
    /* Loop: rows of scans that are one iteration's; those behind are stacked already */
    size_t rows_apart;
    bool is_pending; /* Loop: a part of the segment before ran turns, and `state` says how many */
    hd_tensor_id state;
    double turn_work; /* of that part (plan.h) */
} hd_frame;

typedef struct hd_planner {
    const struct hd_model *model;
    const hd_graph *graph;
    hd_region *region; /* the plan's */
    hd_error *error;
    struct hd_planner *outer; /* of the block around this one; NULL: this plans a model */
    uint32_t depth;           /* planners around this one */
    /* whose outputs are the plan's: the root, or made for an inner block */
    const hd_block *results;
    /* tensors of `outer` that are inputs of this block, from `first_captured` on */
    hd_tensor_id *captured;
    size_t captured_count;
    size_t captured_capacity;
    int32_t first_captured;
    /* by the first input of a Loop's body: how often it could not become a part */
    uint8_t *refusals;
    hd_tensor_id *map; /* graph value -> tensor; see hd_planner_find */
    hd_plan_tensor *tensors;
    size_t tensor_count;
    size_t tensor_capacity;
    hd_plan_node *nodes;
    size_t node_count;
    size_t node_capacity;
    hd_plan_use *uses;
    size_t use_total; /* entries taken, or to be taken when uses are counted: one an input */
    size_t use_capacity;
    hd_frame *frames; /* blocks within one another, the one being walked last */
    size_t frame_count;
    size_t frame_capacity;
    hd_folding folding; /* of this segment */
    hd_plan_fold *
        *folds;         /* the plan's, where large ones are apart from the region; NULL: none are */
    size_t fold_bytes;  /* of those */
    hd_budget budget;   /* of the run */
    double work;        /* steps that planning and the run take, this segment and those before */
    double run_work;    /* of these, what running this segment takes */
    size_t size_before; /* bytes of the plans of the segments before */
    uint64_t steering;  /* inputs whose values must be known, found while walking */
    hd_tensor_id *cut;  /* tensors to be read at the end of this segment */
    size_t cut_count;
    size_t cut_capacity;
    bool follows; /* plans a segment after the first */
    /* operators that move no bytes become nodes, too, and Loops are taken apart: for proofs
     * about the graph */
    bool keeps_moves;
    const bool *wanted;
    const bool *outputs_on_device; /* see hd_plan_request */
    bool is_for_host;              /* a block of a part that the host runs for a device */
    size_t arena_sizes[HD_PLACE_COUNT];
} hd_planner;

/* Where parts run, and where what the run reads lies: HOST, or DEVICE where the device is the host. */
hd_memory_place hd_planner_part_place(const hd_planner *planner);

/* Whether the model's output is wanted in the device's memory, which is not the host's. */
static inline bool hd_planner_is_on_device(const hd_planner *planner, size_t output)
{
    return planner->outputs_on_device != NULL && planner->outputs_on_device[output];
}

/* New tensor; HD_TENSOR_NONE when out of memory. */
hd_tensor_id hd_planner_new_tensor(hd_planner *planner, hd_dtype dtype, const hd_shape *shape);

/* A tensor as an operand of an operation. */
hd_operand hd_planner_operand(const hd_planner *planner, hd_tensor_id id);

size_t hd_plan_tensor_size(const hd_plan_tensor *tensor); /* bytes */
/* Of one type and shape. */
bool hd_plan_tensor_equal(const hd_plan_tensor *a, const hd_plan_tensor *b);

/* Appends a node over tensors; its operands are filled from them. NULL when out of memory. Pointers to
 * nodes are void afterwards. */
hd_plan_node *hd_planner_new_node(hd_planner *planner, hd_operator_id id, const char *name,
                                  const hd_tensor_id *inputs, size_t input_count,
                                  const hd_tensor_id *outputs, size_t output_count);

/* The tensor whose memory `tensor` shares in the end. */
hd_tensor_id hd_planner_root(const hd_planner *planner, hd_tensor_id tensor);

/* Finds out who reads and who writes each tensor; marks nodes dead whose outputs nobody uses. It is asked once, before
 * the passes, and by whoever has appended nodes; hd_planner_replace keeps it true, so that a pass takes time in
 * proportion to the nodes. */
void hd_planner_count_uses(hd_planner *planner);

/* Room for the uses of `count` more inputs, so that counting cannot fail; false when out of memory. */
bool hd_planner_reserve_uses(hd_planner *planner, size_t count);

/* The live node that writes `tensor` itself (not a view of it), or NULL. */
hd_plan_node *hd_planner_producer(const hd_planner *planner, hd_tensor_id tensor);

/* The same if it is of this operator. */
hd_plan_node *hd_planner_producer_of(const hd_planner *planner, hd_tensor_id tensor,
                                     hd_operator_id id);

/* The only reader of `tensor` in this segment if exactly one node reads it, itself and not as a view,
 * and nothing keeps it; else NULL. */
hd_plan_node *hd_planner_only_user(const hd_planner *planner, hd_tensor_id tensor);

/* Writes at most `capacity` of the live nodes that read `tensor` itself; returns their number, where it is
 * more than that capacity + 1, or SIZE_MAX when something else reads it, too (a view, a later segment, an
 * output). */
size_t hd_planner_users(const hd_planner *planner, hd_tensor_id tensor, hd_plan_node **users,
                        size_t capacity);

/* A view of a whole tensor in another shape of the same size; HD_TENSOR_NONE when out of memory. */
hd_tensor_id hd_planner_new_view(hd_planner *planner, hd_tensor_id tensor, const hd_shape *shape);

/* What a pass makes in place of a node, whose outputs it keeps. */
typedef struct hd_replacement {
    hd_operator_id id;
    const hd_tensor_id *inputs;
    size_t input_count;
    const hd_attribute *attributes;
    size_t attribute_count;
    const hd_fused *fused; /* of the plan's region from hd_planner_replace on; NULL: none */
    const hd_shape *shape; /* of output 0; NULL: as the node has it */
} hd_replacement;

/* Whether the device computes it; what the host computes may be anything. A pass that asks keeps the parts where the answer
 * is no: the device may compute some of them. */
bool hd_planner_allows(const hd_planner *planner, const hd_plan_node *node,
                       const hd_replacement *replacement);

/* Puts it in the place of `node`, whose uses are counted. Nodes whose outputs nobody uses any more die. Pointers to nodes
 * stay valid. false when out of memory. */
bool hd_planner_replace(hd_planner *planner, hd_plan_node *node, const hd_replacement *replacement);

/* Parameters of an operation of `id` (operation/fused.h), zeroed; NULL when out of memory. */
hd_fused *hd_planner_new_fused(hd_planner *planner, hd_operator_id id);

/* The input of a two-input node that is not `tensor`. */
hd_tensor_id hd_plan_node_other(const hd_plan_node *node, hd_tensor_id tensor);

static inline bool hd_plan_node_is(const hd_plan_node *node, hd_operator_id id)
{
    return node != NULL && node->operation.id == id;
}

/* The same, where the operands broadcast as NumPy's: before opset 7, `axis` says where the second one lies. */
static inline bool hd_plan_node_broadcasts(const hd_plan_node *node, hd_operator_id id)
{
    return hd_plan_node_is(node, id) && hd_operation_attribute(&node->operation, "axis") == NULL;
}

/* *out = the single float32 value of a known tensor; false when it is none. */
bool hd_planner_scalar(const hd_planner *planner, hd_tensor_id tensor, float *out);

/* Walks the graph until its end, a cut or further steering inputs. */
HD_MUST_CHECK hd_status hd_planner_walk(hd_planner *planner);

/* Frees what lies outside the plan's region. */
void hd_planner_clear(hd_planner *planner);

/* The tensor of a graph value; one of an outer block becomes an input of this one. HD_TENSOR_NONE: it is not
 * computed, or there is no memory. */
hd_tensor_id hd_planner_find(hd_planner *planner, hd_value value);

/* Gives a known tensor to an input of a block: a scalar, or one element where one dimension is declared; false
 * when out of memory. */
bool hd_planner_bind_known(hd_planner *planner, hd_value value, hd_dtype dtype, const void *data);

/* Room for `more` scan values, in the region because continuations share what is there already; false when out
 * of memory. */
bool hd_planner_reserve_scans(hd_planner *planner, hd_frame *frame, size_t more);

/* A tensor's true dimensions are known after the segment, which ends here: false when out of memory. */
bool hd_planner_add_extent(hd_planner *planner, hd_tensor_id tensor);
/* Has `tensor` read at the end of the segment; false when out of memory. */
bool hd_planner_add_cut(hd_planner *planner, hd_tensor_id tensor);

/* Lets the iterations of the Loop on top that are still to come, or as many as there is room for their scan
 * outputs, run as a part of the plan: possible where its body has one shape for all. *made: it was; then the
 * frame stands behind them, or is_pending. */
HD_MUST_CHECK hd_status hd_planner_make_loop(hd_planner *planner, bool *made);

/* For the Loop on top, which is not to run at all: what types and shapes its scan outputs would have, where its
 * body tells without the elements of what is carried; the others' dtype is left as it is. */
void hd_planner_infer_scans(hd_planner *planner, hd_plan_tensor *scans);

/* Lets an If whose condition is computed run as a part, which takes branches of one shape; *made likewise. */
HD_MUST_CHECK hd_status hd_planner_make_branch(hd_planner *planner, const hd_node *node,
                                               hd_tensor_id condition, bool *made);

/* Its outputs' true dimensions are known after the run only. */
static inline bool hd_plan_node_is_dynamic(const hd_plan_node *node)
{
    return node->control != NULL
               ? node->control->notes_turns
               : (hd_operator_of(node->operation.id)->flags & HD_OPERATOR_DYNAMIC) != 0;
}

/* Makes the walk stop because the elements of `needed` must be known: they come from small inputs, which
 * then steer the plan, or they are computed, and the segment is cut before the node. */
HD_MUST_CHECK hd_status hd_planner_need_value(hd_planner *planner, hd_tensor_id needed);

/* What the file declares of a value's type is held to be true; of its shape, see hd_model_output_info.
 * what: the value is to the node, for the message ("output"). */
HD_MUST_CHECK hd_status hd_planner_check_declared(const hd_planner *planner, const hd_node *node,
                                                  const char *what, hd_value value, hd_dtype dtype);

/* Opens a block on top of the others; false when out of memory. Pointers to frames are void afterwards. */
bool hd_planner_push_frame(hd_planner *planner, const hd_block *block, const hd_node *node);

/* Walks an If or Loop: opens the block that comes first. *done: the node is not to be walked again. */
HD_MUST_CHECK hd_status hd_planner_open_control(hd_planner *planner, const hd_node *node,
                                                bool *done);

/* The end of the block on top, which an If or Loop opened: another iteration, or the node's outputs. */
HD_MUST_CHECK hd_status hd_planner_end_block(hd_planner *planner);

/* Whether this plan and those before it take more memory than a graph's plans may (BOUND): a Loop is
 * taken apart iteration by iteration, and a file may ask for any number of them. `node` is the Loop or
 * NULL. HD_OUT_OF_MEMORY: the device's limit; HD_UNSUPPORTED. */
HD_MUST_CHECK hd_status hd_planner_check_size(const hd_planner *planner, const hd_node *node);

#endif
