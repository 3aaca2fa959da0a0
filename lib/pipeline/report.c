/*
 * What this worker knows of its shards, as one JSON text: by processor, stream and shard. Copied under the registry's lock, sorted
 * and written outside of it, so that ten thousand shards hold up no lease.
 */
#include <stdlib.h>

#include "base/json.h"
#include "base/memory.h"
#include "pipeline/pipeline.h"
#include "pipeline/runtime.h"

struct reporting {
    struct leat_arena arena; /* of the slices */
    struct leat_consumer_view *views;
    size_t count, capacity;
};

static void
collect(void *context, const struct leat_consumer_view *view)
{
    struct reporting *reporting = context;
    struct leat_consumer_view *copy;

    LEAT_GROW(reporting->views, reporting->count, reporting->capacity);
    copy = &reporting->views[reporting->count++];
    *copy = *view;
    copy->stream_id = leat_arena_copy(&reporting->arena, view->stream_id);
    copy->shard = leat_arena_copy(&reporting->arena, view->shard);
}

static int
compare(const void *left, const void *right)
{
    const struct leat_consumer_view *a = left, *b = right;
    int order = strcmp(a->processor, b->processor);

    if (order == 0)
        order = leat_slice_compare(a->stream_id, b->stream_id);
    return order != 0 ? order : leat_slice_compare(a->shard, b->shard);
}

static void
add_shard(struct leat_json *json, const struct leat_consumer_view *view)
{
    LEAT_AUTO_BUF shard = LEAT_BUF_INIT;

    leat_buf_add_slice(&shard, view->shard);
    leat_json_array(json, leat_buf_text(&shard));
    if (view->behind_ms < 0)
        leat_json_null(json, NULL);
    else
        leat_json_integer(json, NULL, view->behind_ms);
    leat_json_text(json, NULL, view->state);
    leat_json_text(json, NULL, view->reason);
    leat_json_array_end(json);
}

static void
add_processor(struct leat_json *json, const char *name, const struct reporting *reporting)
{
    const struct leat_consumer_view *last = NULL;

    leat_json_object(json, name);
    for (size_t i = 0; i < reporting->count; i++) {
        const struct leat_consumer_view *view = &reporting->views[i];

        if (strcmp(view->processor, name) != 0)
            continue;
        if (last == NULL || !leat_slice_equals(last->stream_id, view->stream_id)) {
            LEAT_AUTO_BUF stream = LEAT_BUF_INIT;

            if (last != NULL)
                leat_json_object_end(json);
            leat_buf_add_slice(&stream, view->stream_id);
            leat_json_object(json, leat_buf_text(&stream));
        }
        add_shard(json, view);
        last = view;
    }
    if (last != NULL)
        leat_json_object_end(json);
    leat_json_object_end(json);
}

void
leat_pipeline_report(struct leat_pipeline *pipeline, struct leat_buf *out)
{
    const struct leat_pipeline_options *options = leat_pipeline_options(pipeline);
    struct reporting reporting = {0};
    struct leat_json json;

    leat_arena_init(&reporting.arena);
    leat_pipeline_each_consumer(pipeline, collect, &reporting);
    if (reporting.count > 0)
        leat_sort(reporting.views, reporting.count, sizeof *reporting.views, compare);
    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    for (size_t i = 0; i < options->processor_count; i++)
        add_processor(&json, options->processors[i].name, &reporting);
    leat_json_object_end(&json);
    free(reporting.views);
    leat_arena_release(&reporting.arena);
}
