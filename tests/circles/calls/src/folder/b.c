/* Declared in a.h and called by a.c. */
#include "folder/a.h"

int a_size(int number)
{
    return number;
}
