#include "folder/b.h"

int a_count(void);
