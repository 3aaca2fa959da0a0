/*
 * One loop and a bit for each open bracket: no recursion, so that depth costs nothing. The costs are those of json-c 0.16
 * on 64 bits with malloc's heads, rounded up: an object begins with a table of 16 places, an array with a list.
 */
#include "base/json_measure.h"

#include <stdint.h>

#include "base/encoding.h"

#define OBJECT_BYTES 960
#define ARRAY_BYTES 176
#define VALUE_BYTES 80  /* and its text */
#define MEMBER_BYTES 96 /* and its key */
#define ELEMENT_BYTES 16

struct walker {
    const unsigned char *start, *next, *end;
    uint64_t is_object; /* by depth, the innermost in the lowest bit */
    unsigned depth;
    struct leat_json_measure measure;
};

static void
skip_space(struct walker *walker)
{
    while (walker->next < walker->end && (*walker->next == ' ' || *walker->next == '\t' ||
                                          *walker->next == '\n' || *walker->next == '\r'))
        walker->next++;
}

static bool
accept(struct walker *walker, unsigned char letter)
{
    skip_space(walker);
    if (walker->next >= walker->end || *walker->next != letter)
        return false;
    walker->next++;
    return true;
}

static bool
skip_hex4(struct walker *walker)
{
    for (int i = 0; i < 4; i++, walker->next++) {
        unsigned char c = walker->next < walker->end ? *walker->next : 0;

        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f')))
            return false;
    }
    return true;
}

/* Behind the backslash. */
static bool
skip_escape(struct walker *walker)
{
    if (walker->next >= walker->end || *walker->next == '\0' ||
        strchr("\"\\/bfnrtu", *walker->next) == NULL)
        return false;
    return *walker->next++ != 'u' || skip_hex4(walker);
}

static bool
skip_string(struct walker *walker)
{
    const unsigned char *start;

    if (!accept(walker, '"'))
        return false;
    start = walker->next;
    while (walker->next < walker->end) {
        unsigned char c = *walker->next++;

        if (c == '"') {
            size_t size = (size_t)(walker->next - 1 - start);

            walker->measure.tree_bytes += size;
            return leat_utf8_is_valid(leat_slice_make(start, size));
        }
        if (c < ' ')
            walker->next--; /* that is the place to tell */
        if (c < ' ' || (c == '\\' && !skip_escape(walker)))
            return false;
    }
    return false;
}

static size_t
skip_digits(struct walker *walker)
{
    const unsigned char *start = walker->next;

    while (walker->next < walker->end && *walker->next >= '0' && *walker->next <= '9')
        walker->next++;
    return (size_t)(walker->next - start);
}

static bool
take(struct walker *walker, unsigned char letter)
{
    bool is_there = walker->next < walker->end && *walker->next == letter;

    walker->next += is_there;
    return is_there;
}

static bool
skip_number(struct walker *walker)
{
    const unsigned char *start = walker->next;

    take(walker, '-');
    if (!take(walker, '0') && skip_digits(walker) == 0)
        return false;
    if (take(walker, '.') && skip_digits(walker) == 0)
        return false;
    if (take(walker, 'e') || take(walker, 'E')) {
        if (!take(walker, '-'))
            take(walker, '+');
        if (skip_digits(walker) == 0)
            return false;
    }
    walker->measure.tree_bytes += (size_t)(walker->next - start);
    return true;
}

static bool
skip_word(struct walker *walker, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(walker->end - walker->next) < size || memcmp(walker->next, word, size) != 0)
        return false;
    walker->next += size;
    return true;
}

static bool
skip_scalar(struct walker *walker)
{
    walker->measure.tree_bytes += VALUE_BYTES;
    switch (walker->next < walker->end ? *walker->next : 0) {
    case '"':
        return skip_string(walker);
    case 't':
        return skip_word(walker, "true");
    case 'f':
        return skip_word(walker, "false");
    case 'n':
        return skip_word(walker, "null");
    default:
        return skip_number(walker);
    }
}

static bool
skip_key(struct walker *walker)
{
    walker->measure.tree_bytes += MEMBER_BYTES;
    return skip_string(walker) && accept(walker, ':');
}

static bool
is_in_object(const struct walker *walker)
{
    return (walker->is_object & 1) != 0;
}

/* Behind a value: closes what ends here. ret_is_over: the outermost value is whole. false: it is no JSON. */
static bool
close_groups(struct walker *walker, bool *ret_is_over)
{
    *ret_is_over = false;
    while (walker->depth > 0) {
        if (accept(walker, ','))
            return !is_in_object(walker) || skip_key(walker);
        if (!accept(walker, is_in_object(walker) ? '}' : ']'))
            return false;
        walker->is_object >>= 1;
        walker->depth--;
    }
    *ret_is_over = true;
    return true;
}

/* ret_is_empty: "{}" or "[]", which is closed already. */
static bool
open_group(struct walker *walker, bool is_object, bool *ret_is_empty)
{
    walker->next++;
    walker->measure.tree_bytes += is_object ? OBJECT_BYTES : ARRAY_BYTES;
    *ret_is_empty = accept(walker, is_object ? '}' : ']');
    if (*ret_is_empty)
        return true;
    walker->is_object = walker->is_object << 1 | is_object;
    walker->depth++;
    return !is_object || skip_key(walker);
}

static int
walk(struct walker *walker)
{
    bool is_over = false;

    while (!is_over) {
        bool is_whole = true;

        skip_space(walker);
        walker->measure.values++;
        walker->measure.tree_bytes += ELEMENT_BYTES;
        if (walker->next < walker->end && (*walker->next == '{' || *walker->next == '[')) {
            if (walker->depth == LEAT_JSON_DEPTH)
                return LEAT_E_LIMIT;
            if (!open_group(walker, *walker->next == '{', &is_whole))
                return LEAT_E_FORMAT;
        } else if (!skip_scalar(walker)) {
            return LEAT_E_FORMAT;
        }
        if (is_whole && !close_groups(walker, &is_over))
            return LEAT_E_FORMAT;
    }
    skip_space(walker);
    return walker->next == walker->end ? 0 : LEAT_E_FORMAT;
}

int
leat_json_measure(struct leat_slice text, struct leat_json_measure *ret_measure)
{
    struct walker walker = {.start = text.data, .next = text.data, .end = text.data + text.size};
    int status = walk(&walker);

    walker.measure.bad_at = (size_t)(walker.next - walker.start);
    *ret_measure = walker.measure;
    return status;
}
