/* Counts of a processor by stream: made when its first shard comes, and kept. */
#include <stdlib.h>

#include "base/labels.h"
#include "base/memory.h"
#include "pipeline/runtime.h"

static struct leat_labels *
labels_of(const struct leat_runtime *runtime)
{
    return leat_pipeline_options(runtime->pipeline)->stream_labels;
}

void
leat_tallies_init(struct leat_runtime *runtime)
{
    runtime->tallies =
        LEAT_NEW_ARRAY(struct leat_tally * _Atomic, leat_labels_size(labels_of(runtime)));
}

void
leat_tallies_release(struct leat_runtime *runtime)
{
    for (size_t i = 0; i < leat_labels_size(labels_of(runtime)); i++)
        free(runtime->tallies[i]);
    free(runtime->tallies);
    runtime->tallies = NULL;
}

struct leat_tally *
leat_tally_of(struct leat_runtime *runtime, const char *stream)
{
    size_t index = leat_labels_index(labels_of(runtime), leat_slice_from(stream));
    struct leat_tally *tally = runtime->tallies[index], *made;

    if (tally != NULL)
        return tally;
    made = LEAT_NEW(struct leat_tally);
    if (atomic_compare_exchange_strong(&runtime->tallies[index], &tally, made))
        return made;
    free(made);
    return tally;
}
