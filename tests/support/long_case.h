/* Long case: for each kernel of the CPU, operands of which it computes for tens of milliseconds and more, in forms that
 * put as much of that as possible into one tile.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_LONG_CASE_H
#define HD_TEST_LONG_CASE_H

#include "operator_rows.h"

/* In the notation of operator_rows.h; operands whose elements stand there are constants of the model. */
extern const operator_row long_rows[];
extern const size_t long_row_count;

typedef struct long_case {
    char text[256];
    hd_model *model;
    hd_tensor inputs[ROW_OPERAND_LIMIT];
    size_t input_count, output_count;
} long_case;

/* A model of one operator and its inputs. constants: those behind the first are constants of the model, too. rows: the
 * model does not say how many rows its inputs have. Fails the cmocka test where that is refused. */
void long_case_open(long_case *c, hd_device *device, const row_case *row, bool constants,
                    bool rows);
/* A Loop whose turns are short, without end. */
void long_case_open_loop(long_case *c, hd_device *device);
void long_case_close(long_case *c);

#endif
