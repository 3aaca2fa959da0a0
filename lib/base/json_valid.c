/* Reads over the text once; what is open stands in an array, not on the stack. */
#include "base/json_valid.h"

#include <string.h>

#include "base/encoding.h"

#define MOST_DEPTH 1000

struct reader {
    const unsigned char *at, *end;
};

static void
skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r'))
        reader->at++;
}

static bool
take(struct reader *reader, unsigned char byte)
{
    if (reader->at == reader->end || *reader->at != byte)
        return false;
    reader->at++;
    return true;
}

static bool
take_word(struct reader *reader, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
        return false;
    reader->at += size;
    return true;
}

static size_t
take_digits(struct reader *reader)
{
    const unsigned char *begin = reader->at;

    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return (size_t)(reader->at - begin);
}

static bool
take_number(struct reader *reader)
{
    take(reader, '-');
    if (!take(reader, '0') && take_digits(reader) == 0)
        return false;
    if (take(reader, '.') && take_digits(reader) == 0)
        return false;
    if (take(reader, 'e') || take(reader, 'E')) {
        size_t digits;

        if (!take(reader, '+'))
            take(reader, '-');
        digits = take_digits(reader);
        /* An exponent of five digits may be too large for a numeric: then the target is to say so. */
        return digits > 0 && digits < 5;
    }
    return true;
}

/* Four hex digits; -1: they are not. */
static int
take_unit(struct reader *reader)
{
    int unit = 0;

    for (int i = 0; i < 4; i++) {
        unsigned char byte = reader->at < reader->end ? *reader->at : 0;
        int digit = byte >= '0' && byte <= '9'   ? byte - '0'
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                 : -1;

        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
        reader->at++;
    }
    return unit;
}

static bool
take_escape(struct reader *reader)
{
    int unit;

    if (reader->at == reader->end)
        return false;
    if (*reader->at != 'u')
        return strchr("\"\\/bfnrt", *reader->at++) != NULL && reader->at[-1] != 0;
    reader->at++;
    unit = take_unit(reader);
    if (unit <= 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
        return false;
    if (unit < 0xD800 || unit > 0xDBFF)
        return true;
    if (!take(reader, '\\') || !take(reader, 'u'))
        return false;
    unit = take_unit(reader);
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

static bool
take_string(struct reader *reader)
{
    if (!take(reader, '"'))
        return false;
    while (reader->at < reader->end && *reader->at != '"') {
        if (*reader->at < 0x20 || (*reader->at++ == '\\' && !take_escape(reader)))
            return false;
    }
    return take(reader, '"');
}

/* The name of a member, and its colon. */
static bool
take_name(struct reader *reader)
{
    skip_blanks(reader);
    if (!take_string(reader))
        return false;
    skip_blanks(reader);
    return take(reader, ':');
}

/* Behind a value: closes what is closed there. *ret_is_done: nothing is open any more. false: not JSON. */
static bool
close_and_go_on(struct reader *reader, const unsigned char *open, size_t *depth, bool *ret_is_done)
{
    for (;;) {
        skip_blanks(reader);
        if (*depth == 0) {
            *ret_is_done = true;
            return reader->at == reader->end;
        }
        if (take(reader, ','))
            return open[*depth - 1] == '[' || take_name(reader);
        if (!take(reader, open[*depth - 1] == '[' ? ']' : '}'))
            return false;
        (*depth)--;
    }
}

/* A value, or the begin of one: then what is open is one deeper. *ret_is_begun: another value follows at once. */
static bool
take_value(struct reader *reader, unsigned char *open, size_t *depth, bool *ret_is_begun)
{
    unsigned char byte;

    *ret_is_begun = false;
    skip_blanks(reader);
    if (reader->at == reader->end)
        return false;
    byte = *reader->at;
    if (byte == '"')
        return take_string(reader);
    if (byte != '[' && byte != '{')
        return take_word(reader, "true") || take_word(reader, "false") ||
               take_word(reader, "null") || take_number(reader);
    reader->at++;
    skip_blanks(reader);
    if (take(reader, byte == '[' ? ']' : '}'))
        return true;
    if (*depth == MOST_DEPTH)
        return false;
    open[(*depth)++] = byte;
    *ret_is_begun = true;
    return byte == '[' || take_name(reader);
}

bool
leat_json_is_valid(struct leat_slice text)
{
    struct reader reader = {text.data, text.data + text.size};
    unsigned char open[MOST_DEPTH];
    size_t depth = 0;
    bool is_done = false, is_begun;

    if (!leat_utf8_is_valid(text))
        return false;
    while (!is_done) {
        if (!take_value(&reader, open, &depth, &is_begun))
            return false;
        if (!is_begun && !close_and_go_on(&reader, open, &depth, &is_done))
            return false;
    }
    return true;
}
