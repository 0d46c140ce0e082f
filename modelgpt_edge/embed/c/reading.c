/* Reads cells of text as the model's own runtime does. */
#include "reading.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 400 /* characters of a number, a date or a missing cell; a longer text is none of these */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

/* Copies the text without the blanks around it; false where it is longer than LONGEST. */
static bool trim(const char *text, char out[LONGEST + 1]) {
    while (is_blank(*text)) text++;
    size_t length = strlen(text);
    while (length && is_blank(text[length - 1])) length--;
    if (length > LONGEST) return false;
    memcpy(out, text, length);
    out[length] = 0;
    return true;
}

static bool same_folded(const char *text, const char *folded) {
    while (*text && lower(*text) == *folded) text++, folded++;
    return !*text && !*folded;
}

/* Signs beyond ASCII that numbers are written with, each as one byte: minus, currencies, and marks between thousands. */
static void simplify(char *text) {
    static const struct {
        const char *sign;
        char byte;
    } signs[] = {{"\342\210\222", '-'},  {"\342\202\254", '$'},  {"\302\243", '$'},      {"\302\245", '$'},
                 {"\342\202\271", '$'},  {"%", '$'},             {"\342\200\231", '\1'}, {"\302\240", '\2'},
                 {"\342\200\211", '\3'}, {"\342\200\257", '\4'}};
    char *out = text;
    while (*text) {
        size_t length = 1;
        char byte = *text;
        for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
            if (!strncmp(text, signs[i].sign, strlen(signs[i].sign))) length = strlen(signs[i].sign), byte = signs[i].byte;
        *out++ = byte;
        text += length;
    }
    *out = 0;
}

/* The text without the one unit that it begins or ends with. */
static char *without_unit(char *text) {
    size_t length = strlen(text);
    if (length && text[length - 1] == '$') {
        do text[--length] = 0;
        while (length && is_blank(text[length - 1]));
        return text;
    }
    char *unit = text + (*text == '-');
    if (*unit != '$') return text;
    char *rest = unit + 1;
    while (is_blank(*rest)) rest++;
    if (*text == '-') *--rest = '-';
    return rest;
}

static const char *digits(const char *at) {
    while (is_digit(*at)) at++;
    return at;
}

/* Whether the whole text is a decimal number as C writes it. */
static bool is_decimal(const char *text) {
    const char *at = text + (*text == '+' || *text == '-'), *whole = digits(at), *end = whole;
    if (*whole == '.') end = digits(whole + 1);
    if (end - at == (*whole == '.')) return false; /* no digit */
    if (lower(*end) == 'e') {
        const char *exponent = end + 1 + (end[1] == '+' || end[1] == '-');
        end = digits(exponent);
        if (end == exponent) return false;
    }
    return !*end;
}

static bool is_infinite(const char *text) {
    text += *text == '+' || *text == '-';
    return same_folded(text, "inf") || same_folded(text, "infinity");
}

/* "1,234,567.8" as 1234567.8, in place; false where the thousands aren't marked alike. */
static bool join_thousands(char *text, char decimal) {
    static const char marks[] = "' \1\2\3\4";
    const char *at = text + (*text == '+' || *text == '-'), *end = digits(at);
    char mark = *end;
    if (end == at || end - at > 3 || *at == '0' || !mark) return false;
    if (mark != (decimal == '.' ? ',' : '.') && !strchr(marks, mark)) return false;
    while (*end == mark) {
        const char *next = digits(end + 1);
        if (next - end != 4) return false;
        end = next;
    }
    if (*end == decimal) end = digits(end + 1);
    if (*end) return false;
    char *out = text;
    for (char *from = text; *from; from++)
        if (*from != mark) *out++ = *from == decimal ? '.' : *from;
    *out = 0;
    return true;
}

static double number(const char *text, char decimal) {
    char room[LONGEST + 1];
    if (!trim(text, room)) return NAN;
    simplify(room);
    char *at = without_unit(room);
    if (same_folded(at, "true")) return 1;
    if (same_folded(at, "false")) return 0;
    if (is_infinite(at)) return *at == '-' ? -INFINITY : INFINITY;
    if (decimal == ',' && !strchr(at, '.')) {
        char plain[LONGEST + 1];
        strcpy(plain, at);
        for (char *c = plain; *c; c++) *c = *c == ',' ? '.' : *c;
        if (is_decimal(plain)) return strtod(plain, NULL);
    }
    if (decimal == '.' && is_decimal(at)) return strtod(at, NULL);
    return join_thousands(at, decimal) ? strtod(at, NULL) : NAN;
}

float read_number(const char *text, char decimal) { return (float)number(text, decimal); }

/* What of a date has been read; the time of day in seconds, less its zone. */
typedef struct {
    int year, month, day;
    double seconds;
} moment;

/* Reads between least and most digits; NULL where there are fewer. */
static const char *read_digits(const char *at, int least, int most, int *value) {
    int count = 0;
    for (*value = 0; count < most && is_digit(at[count]); count++) *value = *value * 10 + (at[count] - '0');
    return count < least ? NULL : at + count;
}

static const char *read_month(const char *at, int *month) {
    static const char *const months[] = {"january", "february", "march",     "april",   "may",      "june",
                                         "july",    "august",   "september", "october", "november", "december"};
    size_t length = 0;
    while (is_letter(at[length])) length++;
    if (length < 3) return NULL;
    for (int m = 0; m < 12; m++) {
        size_t same = 0;
        while (same < length && lower(at[same]) == months[m][same]) same++;
        if (same == length) return *month = m + 1, at + length + (at[length] == '.');
    }
    return NULL;
}

/* Reads what a pattern describes: %m and %d take one or two digits, %M and %D two. */
static const char *read_pattern(const char *at, const char *pattern, moment *out) {
    for (; at && *pattern; pattern++) {
        if (*pattern == ' ') {
            if (*at != ' ') return NULL;
            while (*at == ' ') at++;
        } else if (*pattern != '%') {
            at = *at == *pattern ? at + 1 : NULL;
        } else if (*++pattern == 'Y') {
            at = read_digits(at, 4, 4, &out->year);
        } else if (*pattern == 'y') {
            at = read_digits(at, 2, 2, &out->year);
            out->year += out->year >= 69 ? 1900 : 2000;
        } else if (*pattern == 'b') {
            at = read_month(at, &out->month);
        } else {
            bool two = *pattern == 'M' || *pattern == 'D';
            at = read_digits(at, two ? 2 : 1, 2, lower(*pattern) == 'm' ? &out->month : &out->day);
        }
    }
    return at;
}

/* "Z", "UTC", "+02:00", "-0530" */
static const char *read_zone(const char *at, double *seconds) {
    const char *from = at + (*at == ' ');
    if (*from == 'Z' || *from == 'z') return from + 1;
    if (!strncmp(from, "UTC", 3) || !strncmp(from, "GMT", 3)) return from + 3;
    if (*from != '+' && *from != '-') return at;
    int hours, minutes = 0;
    const char *end = read_digits(from + 1, 2, 2, &hours);
    if (!end) return at;
    const char *rest = read_digits(end + (*end == ':'), 2, 2, &minutes);
    if (!rest) minutes = 0;
    *seconds -= (*from == '-' ? -60.0 : 60.0) * (60 * hours + minutes);
    return rest ? rest : end;
}

/* "12:30", "12:30:59.5", "2:30 pm", with or without a zone; compact: "1230", "123059". NULL where the clock has no such time. */
static const char *read_clock(const char *at, bool compact, moment *out) {
    int hour, minute, second = 0;
    at = read_digits(at, compact ? 2 : 1, 2, &hour);
    if (!at || (!compact && *at++ != ':')) return NULL;
    at = read_digits(at, 2, 2, &minute);
    if (!at) return NULL;
    double fraction = 0;
    if (compact ? is_digit(*at) : *at == ':') {
        at = read_digits(at + !compact, 2, 2, &second);
        if (!at) return NULL;
        if ((*at == '.' || (*at == ',' && !compact)) && is_digit(at[1])) {
            double step = 0.1;
            for (at++; is_digit(*at); at++, step /= 10) fraction += step * (*at - '0');
        }
    }
    const char *half = at + (*at == ' ');
    if (!compact && (lower(*half) == 'a' || lower(*half) == 'p')) {
        const char *m = half + 1 + (half[1] == '.');
        if (lower(*m) != 'm' || hour < 1 || hour > 12) return NULL;
        hour = hour % 12 + (lower(*half) == 'p' ? 12 : 0);
        at = m + 1 + (m[1] == '.');
    }
    if (hour > 23 || minute > 59 || second > 60) return NULL;
    out->seconds = 3600.0 * hour + 60.0 * minute + second + fraction;
    return read_zone(at, &out->seconds);
}

/* Whether the whole text is a date of the pattern, with a time or without. */
static bool read_date(const char *at, const char *pattern, moment *out) {
    *out = (moment){0, 1, 1, 0};
    at = read_pattern(at, pattern, out);
    if (!at || !*at) return at != NULL;
    at += *at == ',';
    if (*at != ' ' && *at != 'T') return false;
    while (*at == ' ' || *at == 'T') at++;
    at = read_clock(at, false, out);
    return at && !*at;
}

static bool read_iso(const char *at, moment *out) {
    if (read_date(at, "%Y-%m-%d", out)) return true;
    *out = (moment){0, 1, 1, 0};
    const char *end = read_pattern(at, "%Y%M%DT", out);
    if (end) {
        end = read_clock(end, true, out);
        return end && !*end;
    }
    *out = (moment){0, 1, 1, 0};
    end = read_pattern(at, "%Y-%M", out);
    return end && !*end && out->year >= 1800 && out->year < 2200;
}

/* Days of a calendar date since 1970-01-01 (Gregorian throughout), NaN where there is no such day. */
static double days(int year, int month, int day) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1 || month < 1 || month > 12 || day < 1) return NAN;
    if (day > lengths[month - 1] + (month == 2 && leap)) return NAN;
    int before = year - 1;
    long count = 365L * before + before / 4 - before / 100 + before / 400 + day - 1;
    for (int m = 1; m < month; m++) count += lengths[m - 1] + (m == 2 && leap);
    return (double)(count - 719162); /* days before 1970-01-01 */
}

float read_days(const char *text, const char *format) {
    char room[LONGEST + 1];
    moment found;
    if (!trim(text, room)) return NAN;
    const char *rest = room; /* behind a weekday, which may stand before a month's name */
    if (strstr(format, "%b")) {
        while (is_letter(*rest)) rest++;
        rest += *rest == '.';
        rest += *rest == ',';
        while (*rest == ' ') rest++;
    }
    bool own = strcmp(format, "iso") && (read_date(room, format, &found) || (rest != room && read_date(rest, format, &found)));
    if (!own && !read_iso(room, &found)) return NAN;
    return (float)(days(found.year, found.month, found.day) + found.seconds / 86400);
}

static bool is_missing(const char *text) {
    static const char *const spellings[] = {
        "", "na", "n/a", "n.a.", "nan", "-nan", "nat", "null", "none", "nil", "?", "<na>", "<null>", "<none>", "\\n", "#na",
        "#n/a", "#n/a n/a", "#null!", "#value!", "#ref!", "#div/0!", "#num!", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (same_folded(text, spellings[i])) return true;
    return false;
}

/* A number without leading zeros: "007" is a name. */
static bool is_value(const char *text) {
    const char *first = text + (*text == '+' || *text == '-');
    return (is_decimal(text) && !(first[0] == '0' && is_digit(first[1]))) || is_infinite(text);
}

static int32_t place_of(const char *text, size_t length, const char *const *vocabulary, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        if (!strncmp(vocabulary[i], text, length) && !vocabulary[i][length]) return i;
    return -1;
}

int32_t find_word(const char *text, const char *const *vocabulary, int32_t count) {
    while (is_blank(*text)) text++;
    size_t length = strlen(text);
    while (length && is_blank(text[length - 1])) length--;
    int32_t place = place_of(text, length, vocabulary, count);
    char word[LONGEST + 1];
    if (place >= 0 || !trim(text, word)) return place;
    if (is_missing(word)) return place_of("", 0, vocabulary, count);
    if (same_folded(word, "true")) return place_of("true", 4, vocabulary, count);
    if (same_folded(word, "false")) return place_of("false", 5, vocabulary, count);
    if (!is_value(word)) return -1;
    double value = number(word, '.');
    for (int32_t i = 0; i < count; i++)
        if (is_value(vocabulary[i]) && number(vocabulary[i], '.') == value) return i;
    return -1;
}
