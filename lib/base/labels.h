/*
 * The values of one label of the metrics: the first so many names that came keep theirs, all others share one. Whoever
 * counts by label keeps an array of leat_labels_size() and counts at the index, so that a stream's counts stay where they
 * are when its shards move away and come back, and so that a name that comes once an hour cannot fill the memory.
 *
 * Threads: any; leat_labels_index takes a lock, leat_labels_name does not.
 */
#ifndef LEAT_BASE_LABELS_H
#define LEAT_BASE_LABELS_H

#include <leat/slice.h>

/* No Kinesis stream can be called so. */
#define LEAT_LABELS_OTHER "(other)"

struct leat_labels;

struct leat_labels *leat_labels_new(size_t most);
void leat_labels_free(struct leat_labels *labels); /* NULL is fine */
/* The same each time for the same name. 0: too many came before it. labels NULL: 0. */
size_t leat_labels_index(struct leat_labels *labels, struct leat_slice name);
/* As long as `labels` lives; LEAT_LABELS_OTHER for 0. */
const char *leat_labels_name(const struct leat_labels *labels, size_t index);
/* Every index is below it. labels NULL: 1. */
size_t leat_labels_size(const struct leat_labels *labels);

#endif
