/* What a cell of text means: numbers, dates and words as the model takes them. No allocation; leave LC_NUMERIC at "C". */
#ifndef READING_H
#define READING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A number, NaN where the text is missing or none. Reads "63", "1e3", "1,234.5", "$5", "12 %", "true"; decimal is '.' or ','. */
float read_number(const char *text, char decimal);

/* Days since 1970-01-01 in UTC, NaN where the text is missing or no date. Reads ISO 8601 ("2024-03-01", "2024-03-01T12:30Z")
   and dates of the format, a pattern of %Y %y %m %d %b ("%d.%m.%Y"), each with a time or without; "iso" for ISO 8601 alone. */
float read_days(const char *text, const char *format);

/* Place of a word in a vocabulary, -1 where it is missing or unknown. UTF-8, blanks around it let go; "3", "3.0" and "3e0" are
   one word, and so are "True" and "true". Accented letters must be composed (NFC), as nearly all text is. */
int32_t find_word(const char *text, const char *const *vocabulary, int32_t count);

#ifdef __cplusplus
}
#endif

#endif
