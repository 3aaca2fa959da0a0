/* References to sources: see source.h. */
#include "stream/source.h"

#include <stdatomic.h>

struct leat_source *
leat_source_ref(struct leat_source *source)
{
    atomic_fetch_add_explicit(&source->more_references, 1, memory_order_relaxed);
    return source;
}

void
leat_source_unref(struct leat_source *source)
{
    if (source != NULL &&
        atomic_fetch_sub_explicit(&source->more_references, 1, memory_order_acq_rel) == 0)
        source->ops->close(source);
}
