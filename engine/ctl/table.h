// table.h: columns of text, as wide as their widest cell.
#pragma once

#include <stddef.h>

// Prints `rows` rows of `columns` cells (NULL = empty), each cell followed by at least four blanks.
// -1 when there is no memory.
int table_print(const char *const *cells, size_t rows, size_t columns);
