#include "folder/b.h"

#include "folder/a.h"

int b_count(void)
{
    return a_count();
}
