/* Reads comma-separated values: a record at a time, cells in quotes or not, any length. */
#ifndef CSV_H
#define CSV_H

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Begin with {file} and all else zero; free what csv_read allocated with csv_free. */
typedef struct {
    FILE *file;
    long line;      /* of the last record's end */
    int count;      /* cells of the last record */
    char *text;     /* its cells, each ended by a zero byte */
    size_t *starts; /* where each begins */
    size_t room, places;
} csv_reader;

/* Reads the next record that isn't blank: 1; 0 at the end of the file; -1 where a quote stays open or memory runs out. */
int csv_read(csv_reader *reader);

/* A cell of the last record; "" beyond its end. */
const char *csv_cell(const csv_reader *reader, int place);

void csv_free(csv_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
