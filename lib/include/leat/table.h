/*
 * What a processor writes: tables of columns, each column with the rule by which two rows of one
 * key become one. A table without a key column only appends.
 */
#ifndef LEAT_TABLE_H
#define LEAT_TABLE_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

enum leat_rule {
    LEAT_SET = 0, /* the value emitted last wins (not commutative: kept in the shard's order) */
    LEAT_KEY = 1,
    LEAT_SUM = 2, /* int64, decimal; float64 only with LEAT_INEXACT */
    LEAT_MIN = 3,
    LEAT_MAX = 4,
    LEAT_COUNT = 5, /* int64: counts the values emitted that are neither null nor absent */
    /*
     * The value with the smallest, or greatest, order_by column; equal order: the greater value. A null is a value, the smallest. A
     * value without an order is none. An order without a value counts as an order, and keeps the value that is there.
     */
    LEAT_FIRST = 6,
    LEAT_LAST = 7
};

enum leat_column_flag {
    LEAT_INEXACT = 1, /* a sum of floats: its last digits depend on how the stream was cut */
    LEAT_NOT_NULL = 2
};

/* An array of these ends with LEAT_END. Frozen: arrays of it are indexed. */
struct leat_column {
    const char *name;
    enum leat_type type;
    enum leat_rule rule;
    const char *order_by; /* LEAT_FIRST, LEAT_LAST: a column of the same table; NULL else */
    uint32_t flags;       /* enum leat_column_flag */
    uint32_t reserved;
    const char *text; /* what it means, for the DDL's comment; or NULL */
};

struct leat_table {
    const char *name;
    const struct leat_column *columns;
    const char *text;
    const void *reserved;
};

#if !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(struct leat_column) == 40, "frozen");
_Static_assert(sizeof(struct leat_table) == 32, "frozen");
#endif

#ifndef LEAT_END /* ends an array of columns, tables or options */
#define LEAT_END                                                                                   \
    {                                                                                              \
        0                                                                                          \
    }
#endif

static inline size_t
leat_table_width(const struct leat_table *table)
{
    size_t width = 0;

    while (table->columns[width].name != NULL)
        width++;
    return width;
}

enum leat_operation {
    LEAT_OP_MERGE = 0,
    LEAT_OP_REPLACE = 1, /* as delete + insert would leave it: an absent column takes its default */
    LEAT_OP_DELETE = 2   /* key columns only */
};

#ifdef __cplusplus
}
#endif
#endif
