/*
 * Reads one JSON object of a record without a tree: remembers where the values of the wanted members are, checks and
 * skips all others. Strict (RFC 8259), bounded in depth, allocates nothing. Of members with the same name the last counts.
 */
#ifndef LEAT_ROLLUP_SCAN_H
#define LEAT_ROLLUP_SCAN_H

#include <leat/slice.h>

#define LEAT_ROLLUP_NAME_BYTES 255 /* of a wanted member's name */
#define LEAT_ROLLUP_DEPTH 64

enum leat_rollup_kind {
    LEAT_ROLLUP_MISSING = 0,
    LEAT_ROLLUP_NULL,
    LEAT_ROLLUP_FALSE,
    LEAT_ROLLUP_TRUE,
    LEAT_ROLLUP_NUMBER,
    LEAT_ROLLUP_TEXT,
    LEAT_ROLLUP_NESTED /* an object or an array */
};

struct leat_rollup_value {
    enum leat_rollup_kind kind;
    bool has_escapes;
    struct leat_slice
        raw; /* as written; of a text what is between the quotes. Borrowed from the record */
};

/* NULL, or why this is no such object; *ret_offset: where that was seen. values: one for each name. */
const char *leat_rollup_scan(struct leat_slice json, const struct leat_slice *names, size_t count,
                             struct leat_rollup_value *values, size_t *ret_offset);

/*
 * A text's escapes resolved into `out`, which has room for raw.size bytes. NULL, or why not: half a surrogate pair, a
 * zero byte. The escapes are well-formed already.
 */
const char *leat_rollup_unescape(struct leat_slice raw, unsigned char *out, size_t *ret_size);

#endif
