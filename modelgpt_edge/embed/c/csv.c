/* A reader of comma-separated values. */
#include "csv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool put(csv_reader *reader, size_t at, char c) {
    if (at == reader->room) {
        size_t room = reader->room ? 2 * reader->room : 256;
        char *text = realloc(reader->text, room);
        if (!text) return false;
        reader->text = text, reader->room = room;
    }
    reader->text[at] = c;
    return true;
}

static bool begin_cell(csv_reader *reader, size_t at) {
    if ((size_t)reader->count == reader->places) {
        size_t places = reader->places ? 2 * reader->places : 16;
        size_t *starts = realloc(reader->starts, places * sizeof *starts);
        if (!starts) return false;
        reader->starts = starts, reader->places = places;
    }
    reader->starts[reader->count++] = at;
    return true;
}

/* Reads one line, or several where quoted cells hold line feeds; 1, or 0 at the file's end, or -1. */
static int read_record(csv_reader *reader) {
    size_t at = 0;
    bool quoted = false, fresh = true; /* fresh: nothing but blanks in this cell yet */
    int c = getc(reader->file);
    if (c == EOF) return 0;
    reader->count = 0;
    reader->line++;
    if (!begin_cell(reader, at)) return -1;
    for (;; c = getc(reader->file)) {
        if (quoted && c == EOF) return -1;
        if (quoted && c == '\n') reader->line++;
        if (quoted && c == '"') {
            int next = getc(reader->file);
            if (next == '"') {
                if (!put(reader, at++, '"')) return -1;
                continue;
            }
            quoted = false;
            ungetc(next, reader->file);
        } else if (!quoted && c == '"' && fresh) {
            quoted = true, fresh = false;
        } else if (!quoted && (c == ',' || c == '\n' || c == EOF)) {
            if (c != ',' && at > reader->starts[reader->count - 1] && reader->text[at - 1] == '\r') at--;
            if (!put(reader, at++, 0)) return -1;
            if (c != ',') return 1;
            if (!begin_cell(reader, at)) return -1;
            fresh = true;
        } else if (!(fresh && c == ' ')) {
            if (!put(reader, at++, (char)c)) return -1;
            fresh = false;
        }
    }
}

int csv_read(csv_reader *reader) {
    int state;
    if (!reader->line) { /* a byte order mark, as spreadsheets write it */
        int c = getc(reader->file);
        if (c != 0xEF) ungetc(c, reader->file);
        else if (getc(reader->file) != 0xBB || getc(reader->file) != 0xBF) return -1;
    }
    do state = read_record(reader);
    while (state == 1 && reader->count == 1 && !reader->text[strspn(reader->text, " \t\r")]);
    return state;
}

const char *csv_cell(const csv_reader *reader, int place) {
    return place < reader->count ? reader->text + reader->starts[place] : "";
}

void csv_free(csv_reader *reader) {
    free(reader->text);
    free(reader->starts);
    *reader = (csv_reader){0};
}
