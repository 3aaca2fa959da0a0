/*
 * Of the shards that this worker holds: one look at all of them under the registry's lock, which copies; everything else is made
 * of the copy. What is shown shard by shard has a limit (http.metrics_shards).
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/exposition.h"
#include "base/labels.h"
#include "base/memory.h"
#include "worker/metrics_parts.h"

struct shard_line {
    const char *processor, *stream, *shard, *state;
    size_t label; /* of the stream */
    int64_t behind_ms, retention_ms;
    int64_t standing_us;
};

struct shard_lines {
    struct leat_arena arena;
    struct shard_line *items;
    size_t count, capacity;
};

static void
collect(void *context, const struct leat_consumer_view *view)
{
    struct shard_lines *lines = context;

    LEAT_GROW(lines->items, lines->count, lines->capacity);
    lines->items[lines->count++] = (struct shard_line){
        .processor = view->processor,
        .stream = (const char *)leat_arena_copy(&lines->arena, view->stream).data,
        .shard = (const char *)leat_arena_copy(&lines->arena, view->shard).data,
        .state = view->state,
        .behind_ms = view->behind_ms,
        .retention_ms = view->retention_ms,
        .standing_us = view->standing_us,
    };
}

/* ---- shard by shard ------------------------------------------------------------------------------- */

static int64_t
trouble_ms(const struct shard_line *line)
{
    int64_t standing_ms = line->standing_us / 1000;

    return standing_ms > line->behind_ms ? standing_ms : line->behind_ms;
}

static int
compare_trouble(const void *left, const void *right)
{
    int64_t a = trouble_ms(left), b = trouble_ms(right);

    return a > b ? -1 : a < b;
}

static void
shard_labels(const struct shard_line *line, struct leat_buf *labels)
{
    leat_buf_clear(labels);
    leat_exposition_label(labels, "processor", leat_slice_from(line->processor));
    leat_exposition_label(labels, "stream", leat_slice_from(line->stream));
    leat_exposition_label(labels, "shard", leat_slice_from(line->shard));
}

static void
add_each(struct shard_lines *lines, size_t most, struct leat_buf *out)
{
    size_t count = lines->count < most ? lines->count : most;
    LEAT_AUTO_BUF labels = LEAT_BUF_INIT;

    if (count < lines->count)
        leat_sort(lines->items, lines->count, sizeof *lines->items, compare_trouble);
    leat_metrics_head(out, "leat_lag_seconds");
    for (size_t i = 0; i < count; i++) {
        if (lines->items[i].behind_ms < 0)
            continue;
        shard_labels(&lines->items[i], &labels);
        leat_exposition_sample(out, "leat_lag_seconds", leat_buf_text(&labels),
                               (double)lines->items[i].behind_ms / 1e3);
    }
    /* Shards that have nothing to do, or wait for what is told elsewhere, are at 0. */
    leat_metrics_head(out, "leat_progress_age_seconds");
    for (size_t i = 0; i < count; i++) {
        shard_labels(&lines->items[i], &labels);
        leat_exposition_sample(out, "leat_progress_age_seconds", leat_buf_text(&labels),
                               (double)lines->items[i].standing_us / 1e6);
    }
}

/* ---- by stream ------------------------------------------------------------------------------------ */

static int
compare_streams(const void *left, const void *right)
{
    const struct shard_line *a = left, *b = right;
    int order = strcmp(a->processor, b->processor);

    if (order == 0)
        order = a->label < b->label ? -1 : a->label > b->label;
    return order != 0 ? order : strcmp(a->state, b->state);
}

static bool
is_same_stream(const struct shard_line *a, const struct shard_line *b)
{
    return strcmp(a->processor, b->processor) == 0 && a->label == b->label;
}

/* The worst of the shards [from, to): false: nothing is known. */
static bool
worst_lag(const struct shard_line *items, size_t from, size_t to, double *ret_seconds)
{
    int64_t worst_ms = -1;

    for (size_t i = from; i < to; i++)
        worst_ms = items[i].behind_ms > worst_ms ? items[i].behind_ms : worst_ms;
    *ret_seconds = (double)worst_ms / 1e3;
    return worst_ms >= 0;
}

static bool
least_headroom(const struct shard_line *items, size_t from, size_t to, double *ret_seconds)
{
    int64_t least_ms = INT64_MAX;

    for (size_t i = from; i < to; i++) {
        int64_t left_ms = items[i].retention_ms - items[i].behind_ms;

        if (items[i].behind_ms >= 0 && items[i].retention_ms > 0 && left_ms < least_ms)
            least_ms = left_ms;
    }
    *ret_seconds = (double)least_ms / 1e3;
    return least_ms < INT64_MAX;
}

static void
stream_labels(struct leat_parts *parts, const struct shard_line *line, struct leat_buf *labels)
{
    leat_buf_clear(labels);
    leat_exposition_label(labels, "processor", leat_slice_from(line->processor));
    leat_exposition_label(labels, "stream",
                          leat_slice_from(leat_labels_name(parts->stream_labels, line->label)));
}

static void
add_by_stream(struct leat_parts *parts, const struct shard_lines *lines, const char *name,
              bool (*sum_up)(const struct shard_line *items, size_t from, size_t to,
                             double *ret_seconds),
              struct leat_buf *out)
{
    LEAT_AUTO_BUF labels = LEAT_BUF_INIT;
    double seconds;

    leat_metrics_head(out, name);
    for (size_t from = 0, to; from < lines->count; from = to) {
        for (to = from + 1;
             to < lines->count && is_same_stream(&lines->items[from], &lines->items[to]);)
            to++;
        if (!sum_up(lines->items, from, to, &seconds))
            continue;
        stream_labels(parts, &lines->items[from], &labels);
        leat_exposition_sample(out, name, leat_buf_text(&labels), seconds);
    }
}

static void
add_states(struct leat_parts *parts, const struct shard_lines *lines, struct leat_buf *out)
{
    LEAT_AUTO_BUF labels = LEAT_BUF_INIT;

    leat_metrics_head(out, "leat_shard_states");
    for (size_t from = 0, to; from < lines->count; from = to) {
        for (to = from + 1;
             to < lines->count && compare_streams(&lines->items[from], &lines->items[to]) == 0;)
            to++;
        stream_labels(parts, &lines->items[from], &labels);
        leat_exposition_label(&labels, "state", leat_slice_from(lines->items[from].state));
        leat_exposition_count(out, "leat_shard_states", leat_buf_text(&labels), to - from);
    }
}

void
leat_metrics_add_shards(struct leat_parts *parts, struct leat_buf *out)
{
    struct shard_lines lines = {0};
    double worst = 0;

    leat_arena_init(&lines.arena);
    leat_pipeline_each_consumer(parts->pipeline, collect, &lines);
    if (!worst_lag(lines.items, 0, lines.count, &worst))
        worst = 0;
    leat_metrics_add(out, "leat_lag_seconds_max", worst);
    add_each(&lines, (size_t)parts->config->http_metrics_shards, out);
    for (size_t i = 0; i < lines.count; i++)
        lines.items[i].label =
            leat_labels_index(parts->stream_labels, leat_slice_from(lines.items[i].stream));
    leat_sort(lines.items, lines.count, sizeof *lines.items, compare_streams);
    add_by_stream(parts, &lines, "leat_stream_lag_seconds", worst_lag, out);
    add_by_stream(parts, &lines, "leat_retention_headroom_seconds", least_headroom, out);
    add_states(parts, &lines, out);
    free(lines.items);
    leat_arena_release(&lines.arena);
}
