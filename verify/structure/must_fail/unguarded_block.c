/* expect: calling function 'hd_block_table_give' requires holding rank 'hd_rank_allocator' exclusively */
#include "runtime/block_table.h"

void give(hd_block_table *table, hd_block *block);

void give(hd_block_table *table, hd_block *block)
{
    hd_block_table_give(table, block);
}
