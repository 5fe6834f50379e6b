#include "graph/settle.h"

#include <string.h>

/* Of CastLike's second input only the type counts, and inference has taken it. */
static void settle_cast_like(hd_operation *operation)
{
#define FORM(number, keeps, mode)                                                                  \
    {                                                                                              \
        {.name = "to", .kind = HD_ATTRIBUTE_INT, .i = (number)},                                   \
            {.name = "saturate", .kind = HD_ATTRIBUTE_INT, .i = (keeps)},                          \
        {                                                                                          \
            .name = "round_mode", .kind = HD_ATTRIBUTE_STRING, .s = (mode)                         \
        }                                                                                          \
    }
#define TO(number)                                                                                 \
    {                                                                                              \
        {FORM(number, 0, "up"), FORM(number, 0, "down"), FORM(number, 0, "nearest")},              \
        {                                                                                          \
            FORM(number, 1, "up"), FORM(number, 1, "down"), FORM(number, 1, "nearest")             \
        }                                                                                          \
    }
    /* [type][saturate][round_mode] */
    static const hd_attribute to[][2][3][3] = {
        TO(0),  TO(1),  TO(2),  TO(3),  TO(4),  TO(5),  TO(6),  TO(7),  TO(8),  TO(9),
        TO(10), TO(11), TO(12), TO(13), TO(14), TO(15), TO(16), TO(17), TO(18), TO(19),
        TO(20), TO(21), TO(22), TO(23), TO(24), TO(25), TO(26), TO(27), TO(28)};
#undef TO
#undef FORM
    _Static_assert(sizeof to / sizeof to[0] == HD_FLOAT6E3M2 + 1, "a number for each type");
    const char *mode = hd_operation_string(operation, "round_mode", "up");
    const size_t keeps = hd_operation_int(operation, "saturate", 1) != 0;
    const size_t rounding = strcmp(mode, "down") == 0 ? 1 : strcmp(mode, "nearest") == 0 ? 2 : 0;
    operation->attributes = to[operation->outputs[0].dtype][keeps][rounding];
    operation->attribute_count = operation->attribute_count > 0 ? 3 : 1;
    operation->id = HD_OP_CAST;
    operation->input_count = 1;
}

static void settle_transpose(hd_operation *operation)
{
    /* [rank][matrix + 2 * batch] */
    static const int64_t orders[HD_MAX_RANK + 1][4][HD_MAX_RANK] = {
        [2] = {{0, 1}, {1, 0}, {0, 1}, {1, 0}},
        [3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}},
        [4] = {{0, 1, 2, 3}, {0, 1, 3, 2}, {1, 2, 0, 3}, {1, 2, 3, 0}},
        [5] = {{0, 1, 2, 3, 4}, {0, 1, 2, 4, 3}, {1, 2, 3, 0, 4}, {1, 2, 3, 4, 0}},
        [6] = {{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 5, 4}, {1, 2, 3, 4, 0, 5}, {1, 2, 3, 4, 5, 0}},
        [7] = {{0, 1, 2, 3, 4, 5, 6},
               {0, 1, 2, 3, 4, 6, 5},
               {1, 2, 3, 4, 5, 0, 6},
               {1, 2, 3, 4, 5, 6, 0}},
        [8] = {{0, 1, 2, 3, 4, 5, 6, 7},
               {0, 1, 2, 3, 4, 5, 7, 6},
               {1, 2, 3, 4, 5, 6, 0, 7},
               {1, 2, 3, 4, 5, 6, 7, 0}},
    };
#define ORDER(rank, form)                                                                          \
    {.name = "perm", .kind = HD_ATTRIBUTE_INTS, .ints = orders[rank][form], .count = (rank)}
#define ORDERS(rank)                                                                               \
    {                                                                                              \
        ORDER(rank, 0), ORDER(rank, 1), ORDER(rank, 2), ORDER(rank, 3)                             \
    }
    static const hd_attribute permutations[HD_MAX_RANK + 1][4] = {
        [2] = ORDERS(2), [3] = ORDERS(3), [4] = ORDERS(4), [5] = ORDERS(5),
        [6] = ORDERS(6), [7] = ORDERS(7), [8] = ORDERS(8)};
#undef ORDERS
#undef ORDER
    _Static_assert(HD_MAX_RANK == 8, "each rank has its orders");
    size_t form = (size_t)(hd_operation_int(operation, "matrix", 0) +
                           2 * hd_operation_int(operation, "batch", 0));
    operation->id = HD_OP_TRANSPOSE;
    operation->attributes = &permutations[operation->inputs[0].shape.rank][form];
    operation->attribute_count = 1;
}

void hd_operation_settle(hd_operation *operation)
{
    if (operation->id == HD_OP_CAST_LIKE) {
        settle_cast_like(operation);
    } else if (operation->id == HD_OP_HEDDLE_TRANSPOSE_MATRIX) {
        settle_transpose(operation);
    }
}
