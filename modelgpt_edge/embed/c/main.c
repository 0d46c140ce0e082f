/* Predicts the rows of a CSV file, or of standard input, and prints a CSV line for each. Edit it as you like. */
#include "csv.h"
#include "reading.h"
#include "row.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int fail(const csv_reader *rows, const char *name, const char *what, const char *which) {
    fprintf(stderr, "error: %s, line %ld: %s%s\n", name, rows->line, what, which);
    return 1;
}

/* Whether the header's cell at a place is a column's name; a cell without one is called by its place. */
static bool is_named(const csv_reader *header, int place, const char *name) {
    char unnamed[32];
    const char *cell = csv_cell(header, place) + strspn(csv_cell(header, place), " \t");
    size_t length = strlen(name);
    snprintf(unnamed, sizeof unnamed, "column_%d", place + 1);
    return *cell ? !strncmp(cell, name, length) && !cell[length + strspn(cell + length, " \t")] : !strcmp(unnamed, name);
}

/* Where each of the model's columns stands in the file; the name of one that isn't there, or NULL. */
static const char *find_columns(const csv_reader *header, int places[ROW_COLUMNS]) {
    for (int c = 0; c < ROW_COLUMNS; c++) {
        int i = 0;
        while (i < header->count && !is_named(header, i, row_columns[c].name)) i++;
        if (i == header->count) return row_columns[c].name;
        places[c] = i;
    }
    return NULL;
}

static float read_numeric(const char *cell, const row_column *column) {
    return column->type == ROW_DATE ? read_days(cell, column->format) : read_number(cell, column->decimal);
}

static void print_row(int32_t best, const float outputs[MODEL_OUTPUTS]) {
    if (ROW_CLASSES == 0) {
        printf("%.6g\n", outputs[0]);
        return;
    }
    fputs(row_csv_labels[best], stdout);
    for (int k = 0; k < MODEL_OUTPUTS; k++) printf(",%.6g", outputs[k]);
    putchar('\n');
}

static int predict(csv_reader *rows, const char *name) {
    static model_scratch scratch;
    int places[ROW_COLUMNS], state = csv_read(rows), width = rows->count;
    if (state == 0) return fail(rows, name, "the file is empty", "");
    const char *absent = state == 1 ? find_columns(rows, places) : NULL;
    if (absent) return fail(rows, name, "the header has no column ", absent);
    if (state == 1) puts(row_csv_header);
    while (state == 1 && (state = csv_read(rows)) == 1) {
        float numbers[ROW_COLUMNS], outputs[MODEL_OUTPUTS];
        int32_t codes[ROW_COLUMNS];
        if (rows->count < width) return fail(rows, name, "the row has fewer cells than the header", "");
        for (int c = 0; c < MODEL_NUMBERS; c++) numbers[c] = read_numeric(csv_cell(rows, places[c]), &row_columns[c]);
        for (int s = 0; s < MODEL_CATEGORIES; s++) {
            const row_column *column = &row_columns[MODEL_NUMBERS + s];
            codes[s] = find_word(csv_cell(rows, places[MODEL_NUMBERS + s]), column->vocabulary, column->words);
        }
        print_row(model_predict(numbers, codes, outputs, &scratch), outputs);
    }
    if (state < 0) return fail(rows, name, "a quote is opened and not closed, or memory ran out", "");
    return fflush(stdout) == 0 ? 0 : fail(rows, name, "the predictions can't be written", "");
}

int main(int count, char **arguments) {
    const char *name = count > 1 ? arguments[1] : "-";
    if (count > 2 || !strcmp(name, "-h") || !strcmp(name, "--help")) {
        fprintf(stderr, "usage: %s [FILE.csv]   (standard input without a file)\n", arguments[0]);
        return count > 2 ? 2 : 0;
    }
    int standard = !strcmp(name, "-");
    csv_reader rows = {.file = standard ? stdin : fopen(name, "rb")};
    if (!rows.file) {
        perror(name);
        return 1;
    }
    int status = predict(&rows, standard ? "standard input" : name);
    if (!standard) fclose(rows.file);
    csv_free(&rows);
    return status;
}
