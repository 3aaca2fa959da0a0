/* Numbers that somebody gives a test program by hand: refused with a line that says what is wanted, instead of read as 0. */
#ifndef LEAT_TESTS_NUMBERS_H
#define LEAT_TESTS_NUMBERS_H

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* text NULL or empty: otherwise. Anything but a whole number from least to most ends the program with 2. */
static inline uint64_t
test_number(const char *name, const char *text, uint64_t otherwise, uint64_t least, uint64_t most)
{
    unsigned long long number;
    char *end;

    if (text == NULL || *text == '\0')
        return otherwise;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (isdigit((unsigned char)*text) && *end == '\0' && errno == 0 && number >= least &&
        number <= most)
        return number;
    fprintf(stderr, "%s=%s: want a whole number from %llu to %llu\n", name, text,
            (unsigned long long)least, (unsigned long long)most);
    exit(2);
}

#endif
