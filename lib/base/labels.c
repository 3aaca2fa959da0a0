/* Names are only ever added: a name is written before its index is given out. */
#include "base/labels.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "base/thread.h"

struct leat_labels {
    size_t most;
    char **names; /* [0] is NULL */
    struct leat_mutex lock;
    struct leat_map indexes LEAT_FIELD_GUARDED_BY(lock);
};

struct leat_labels *
leat_labels_new(size_t most)
{
    struct leat_labels *labels = LEAT_NEW(struct leat_labels);

    leat_is_unshared();
    labels->most = most;
    labels->names = LEAT_NEW_ARRAY(char *, most + 1);
    leat_mutex_init(&labels->lock);
    leat_map_init(&labels->indexes);
    return labels;
}

void
leat_labels_free(struct leat_labels *labels)
{
    if (labels == NULL)
        return;
    leat_is_unshared();
    for (size_t i = 1; i <= labels->most; i++)
        free(labels->names[i]);
    free(labels->names);
    leat_map_release(&labels->indexes, NULL);
    leat_mutex_release(&labels->lock);
    free(labels);
}

size_t
leat_labels_index(struct leat_labels *labels, struct leat_slice name)
{
    size_t index;

    if (labels == NULL)
        return 0;
    leat_mutex_lock(&labels->lock);
    index = (uintptr_t)leat_map_get(&labels->indexes, name);
    if (index == 0 && labels->indexes.count < labels->most) {
        index = labels->indexes.count + 1;
        labels->names[index] = leat_slice_strdup(name);
        leat_map_put(&labels->indexes, name, (void *)(uintptr_t)index);
    }
    leat_mutex_unlock(&labels->lock);
    return index;
}

const char *
leat_labels_name(const struct leat_labels *labels, size_t index)
{
    return index == 0 ? LEAT_LABELS_OTHER : labels->names[index];
}

size_t
leat_labels_size(const struct leat_labels *labels)
{
    return labels == NULL ? 1 : labels->most + 1;
}
