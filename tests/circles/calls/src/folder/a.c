#include "folder/a.h"

int a_count(void)
{
    return a_size(3);
}
