/*
 * Merge: many emitted rows of one key become one before they are written (docs/protocol.md §5). Pure but for memory.
 *
 * A *merge buffer* holds one shard's complete epochs that wait for their flush. leat_merge_apply is operation y after
 * operation x: M∘M = M by the column's rule; M after R = R; M after D = R; R after any = R; D after any = D. A D or an R is
 * never dropped because "insert and delete cancel": the row may exist in the target.
 *
 * What a flush writes is what one commit for each emission would have written. Where two operations have no single one that does
 * the same to any row of the target (merge_compose.h), the key has a *chain*: several rows, written one behind the other.
 *
 * Threads: none of its own; whoever holds the buffer.
 */
#ifndef LEAT_PIPELINE_MERGE_H
#define LEAT_PIPELINE_MERGE_H

#include <leat/table.h>
#include <leat/target.h>

#include "base/arena.h"
#include "base/thread.h"

/* What leat needs to know of the tables, computed once per processor. */
struct leat_merge_column {
    enum leat_type type;
    enum leat_rule rule;
    int order_by; /* index; -1: none */
};
struct leat_merge_table {
    const struct leat_table *table;
    struct leat_merge_column *columns;
    size_t width;
    size_t key_count; /* 0: appends only */
    bool
        is_commutative; /* no LEAT_SET column: rows of several shards may be merged while all are M */
};
struct leat_merge;
struct leat_merge_forms;
struct leat_merge_schema {
    struct leat_merge_table *tables;
    size_t table_count;
    struct leat_mutex lock; /* of those who tell forms */
    /* How the target keeps values, the newest first; NULL: not known yet. */
    _Atomic(struct leat_merge_forms *) forms;
};
/* tables: LEAT_END-ended, checked before (plugin/loader.h); NULL: none. Borrowed. */
struct leat_merge_schema *leat_merge_schema_new(const struct leat_table *tables);
void leat_merge_schema_free(struct leat_merge_schema *schema);
/*
 * What a target says of its tables, asked of `forms` (leat/target.h). Any thread. A buffer that holds rows keeps the forms that it
 * began with; nothing is merged before the first take, so the first ones are there in time. Keys that may be equal stay so.
 */
void leat_merge_schema_tell(struct leat_merge_schema *schema,
                            void (*forms)(void *committer, size_t table,
                                          struct leat_table_forms *ret_forms),
                            void *committer);

/* Does the target keep values now as they were merged here? */
bool leat_merge_is_current(const struct leat_merge *merge,
                           void (*forms)(void *committer, size_t table,
                                         struct leat_table_forms *ret_forms),
                           void *committer);

/* Is this row one that the table takes? count: the width, or the key columns alone for a deletion. */
int leat_merge_check(const struct leat_merge_schema *schema, size_t table,
                     enum leat_operation operation, const struct leat_value *values, size_t count,
                     struct leat_error *err);

struct leat_merge *leat_merge_new(const struct leat_merge_schema *schema);
void leat_merge_free(struct leat_merge *merge);
void leat_merge_clear(struct leat_merge *merge);

/* values: as checked. Copied. */
void leat_merge_apply(struct leat_merge *merge, size_t table, enum leat_operation operation,
                      const struct leat_value *values);
size_t leat_merge_rows(const struct leat_merge *merge);  /* after merging */
size_t leat_merge_bytes(const struct leat_merge *merge); /* memory held */

/*
 * The groups of a flush that holds these buffers (one per shard, in key order): what is commutative is merged across
 * them, the rest stays shard by shard. Groups and values live in the arena; bytes are borrowed from the buffers
 * and the arena. Each group: one table, one operation, the same columns absent, each key once, sorted by key (but where keys
 * that differ may be one in the target: there as they came).
 */
struct leat_flush_rows *leat_merge_groups(struct leat_merge *const *merges, size_t merge_count,
                                          struct leat_arena *arena, size_t *ret_group_count);
/* Of these groups: leat_flush.is_divisible. */
const bool *leat_merge_divisible(struct leat_merge *const *merges, size_t merge_count,
                                 const struct leat_flush_rows *groups, size_t group_count,
                                 struct leat_arena *arena);

#endif
