/*
 * A version text is cut into parts: runs of digits, runs of letters, and the mark in front of them. Parts compare one by one;
 * each has a rank, so that the end of the text has its place among them: ~ and -word before the end, all others after it.
 */
#include "lease/build.h"

enum rank { RANK_BEFORE = 0, RANK_END = 1, RANK_WORD = 2, RANK_NUMBER = 3 };

struct part {
    enum rank rank;
    struct leat_slice text;
    bool is_number;
};

static bool
is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_part(unsigned char c)
{
    return is_digit(c) || is_letter(c);
}

/* The next part from *at on, which moves behind it. */
static struct part
next_part(struct leat_slice text, size_t *at)
{
    const unsigned char *bytes = text.data;
    bool is_tilde = false, is_dash = false;
    struct part part = {RANK_END, leat_slice_make(NULL, 0), false};
    size_t begin;

    while (*at < text.size && !is_part(bytes[*at]) && bytes[*at] != '+') {
        is_tilde = is_tilde || bytes[*at] == '~';
        is_dash = is_dash || bytes[*at] == '-';
        (*at)++;
    }
    if (*at >= text.size || bytes[*at] == '+')
        return part;
    begin = *at;
    part.is_number = is_digit(bytes[begin]);
    while (*at < text.size && (part.is_number ? is_digit(bytes[*at]) : is_letter(bytes[*at])))
        (*at)++;
    part.text = leat_slice_make(bytes + begin, *at - begin);
    part.rank = part.is_number ? RANK_NUMBER : RANK_WORD;
    if (is_tilde || (is_dash && !part.is_number))
        part.rank = RANK_BEFORE;
    return part;
}

static int
order_numbers(struct leat_slice a, struct leat_slice b)
{
    const unsigned char *left = a.data, *right = b.data;

    while (a.size > 0 && *left == '0')
        left++, a.size--;
    while (b.size > 0 && *right == '0')
        right++, b.size--;
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return a.size == 0 ? 0 : memcmp(left, right, a.size);
}

static int
order_parts(const struct part *a, const struct part *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->is_number != b->is_number)
        return a->is_number ? 1 : -1;
    return a->is_number ? order_numbers(a->text, b->text) : leat_slice_compare(a->text, b->text);
}

static size_t
begin_of(struct leat_slice text)
{
    return text.size > 1 && (text.data[0] == 'v' || text.data[0] == 'V') && is_digit(text.data[1])
               ? 1
               : 0;
}

int
leat_build_order(struct leat_slice a, struct leat_slice b)
{
    size_t a_at = begin_of(a), b_at = begin_of(b);

    for (;;) {
        struct part left = next_part(a, &a_at), right = next_part(b, &b_at);
        int order = order_parts(&left, &right);

        if (order != 0 || left.rank == RANK_END)
            return order;
    }
}
