// table.c: columns of text, as wide as their widest cell.

#include "engine/ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_GAP 4

static const char *cell_text(const char *cell)
{
	return cell ? cell : "";
}

static void measure(const char *const *cells, size_t rows, size_t columns, size_t *widths)
{
	for (size_t i = 0; i < rows * columns; i++) {
		size_t width = strlen(cell_text(cells[i])) + COLUMN_GAP;

		if (width > widths[i % columns])
			widths[i % columns] = width;
	}
}

int table_print(const char *const *cells, size_t rows, size_t columns)
{
	size_t *widths = calloc(columns, sizeof(*widths));

	if (!widths)
		return -1;
	measure(cells, rows, columns, widths);
	for (size_t i = 0; i < rows * columns; i++) {
		printf("%-*s", (int)widths[i % columns], cell_text(cells[i]));
		if (i % columns == columns - 1)
			putchar('\n');
	}
	free(widths);
	return 0;
}
