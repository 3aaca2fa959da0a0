/* Shards that a list tells and nobody can work with (stream/shard.h): the others go on, these are named. */
#include <stdlib.h>

#include "base/memory.h"
#include "lease/inside.h"

static void
describe(const struct leat_shard_list *shards, struct leat_buf *out)
{
    if (shards->left_out_count > 0)
        leat_buf_printf(out,
                        "%zu shards have no id that can be stored and are left out, the first: "
                        "\"%s\"",
                        shards->left_out_count, shards->first_left_out);
    if (shards->misnumbered_count > 0)
        leat_buf_printf(
            out,
            "%s%zu shards have a hash key or a sequence number that is none, the first: "
            "\"%s\"",
            out->size > 0 ? "; " : "", shards->misnumbered_count, shards->first_misnumbered);
    if (shards->cyclic_count > 0)
        leat_buf_printf(out,
                        "%s%zu shards are their own ancestors and wait for nobody, the first: "
                        "\"%s\"",
                        out->size > 0 ? "; " : "", shards->cyclic_count, shards->first_cyclic);
}

void
leat_manager_say_odd(struct leat_lease_manager *manager, const struct leat_source *source,
                     const struct leat_shard_list *shards)
{
    const struct leat_lease_events *events = &manager->options.events;
    struct leat_slice stream_id = leat_slice_from(source->facts.stream_id);
    const char *told = leat_map_get(&manager->odd_told, stream_id);
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    describe(shards, &text);
    if (strcmp(told != NULL ? told : "", leat_buf_text(&text)) == 0 || events->stream == NULL)
        return;
    free(leat_map_put(&manager->odd_told, stream_id, leat_strdup(leat_buf_text(&text))));
    events->stream(events->context, text.size > 0 ? LEAT_LOG_WARNING : LEAT_LOG_INFO,
                   text.size > 0 ? "the list of a stream's shards tells what cannot be: the others "
                                   "go on"
                                 : "the list of a stream's shards is in order again",
                   source->facts.name, leat_buf_text(&text));
}
