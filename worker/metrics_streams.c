/* Counts by processor, and by processor and stream. Labels are written once for all families. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/exposition.h"
#include "base/histogram.h"
#include "base/memory.h"
#include "worker/metrics_parts.h"

/* A view, and the labels of its samples. */
struct processor_line {
    struct leat_processor_view view;
    char *labels;
};
struct stream_line {
    struct leat_stream_view view;
    char *labels;
};
struct read_line {
    struct leat_fetcher_counts view;
    char *labels;
};

struct family {
    const char *name;
    size_t at; /* of a uint64_t, or of a histogram's address, in the line */
};

/* Lines of one kind. */
struct lines {
    unsigned char *items;
    size_t item_size, labels_at, count;
};

static const void *
field(const struct lines *lines, size_t i, size_t at)
{
    return lines->items + i * lines->item_size + at;
}

static const char *
labels_of(const struct lines *lines, size_t i)
{
    char *labels;

    memcpy(&labels, field(lines, i, lines->labels_at), sizeof labels);
    return labels;
}

static void
add_counts(struct leat_buf *out, const struct lines *lines, const struct family *families,
           size_t count)
{
    for (size_t n = 0; n < count; n++) {
        leat_metrics_head(out, families[n].name);
        for (size_t i = 0; i < lines->count; i++) {
            uint64_t value;

            memcpy(&value, field(lines, i, families[n].at), sizeof value);
            leat_exposition_count(out, families[n].name, labels_of(lines, i), value);
        }
    }
}

static void
add_histograms(struct leat_buf *out, const struct lines *lines, const struct family *families,
               size_t count)
{
    for (size_t n = 0; n < count; n++) {
        leat_metrics_head(out, families[n].name);
        for (size_t i = 0; i < lines->count; i++) {
            const struct leat_histogram *histogram;

            memcpy(&histogram, field(lines, i, families[n].at), sizeof histogram);
            leat_histogram_render(histogram, families[n].name, labels_of(lines, i), out);
        }
    }
}

static void
lines_release(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free((void *)labels_of(lines, i));
    free(lines->items);
}

/* processor, stream: NULL: that label is not there. */
static char *
make_labels(const char *processor, const char *stream)
{
    LEAT_AUTO_BUF labels = LEAT_BUF_INIT;

    if (processor != NULL)
        leat_exposition_label(&labels, "processor", leat_slice_from(processor));
    if (stream != NULL)
        leat_exposition_label(&labels, "stream", leat_slice_from(stream));
    return leat_buf_take(&labels);
}

static void
add_line(struct lines *lines, const void *line)
{
    lines->items = leat_realloc(lines->items, lines->count + 1, lines->item_size);
    memcpy(lines->items + lines->count++ * lines->item_size, line, lines->item_size);
}

/* ---- processors ---------------------------------------------------------------------------------- */

static void
collect_processor(void *context, const struct leat_processor_view *view)
{
    struct processor_line line = {*view, make_labels(view->processor, NULL)};

    add_line(context, &line);
}

static void
add_processors(struct leat_parts *parts, struct leat_buf *out)
{
#define AT(field) offsetof(struct processor_line, view.field)
    static const struct family counts[] = {
        {"leat_flushes_total", AT(flushes)},
        {"leat_rows_written_total", AT(rows_written)},
        {"leat_progress_removed_total", AT(progress_removed)},
    };
    static const struct family histograms[] = {
        {"leat_process_seconds", AT(processing)},
        {"leat_commit_seconds", AT(committing)},
    };
#undef AT
    struct lines lines = {.item_size = sizeof(struct processor_line),
                          .labels_at = offsetof(struct processor_line, labels)};

    leat_pipeline_each_processor(parts->pipeline, collect_processor, &lines);
    add_counts(out, &lines, counts, LEAT_COUNT_OF(counts));
    add_histograms(out, &lines, histograms, LEAT_COUNT_OF(histograms));
    leat_metrics_head(out, "leat_processor_paused");
    for (size_t i = 0; i < lines.count; i++) {
        const struct processor_line *line = field(&lines, i, 0);

        leat_exposition_count(out, "leat_processor_paused", line->labels,
                              line->view.state == LEAT_PROCESSOR_PAUSED);
    }
    lines_release(&lines);
}

/* ---- streams -------------------------------------------------------------------------------------- */

static void
collect_stream(void *context, const struct leat_stream_view *view)
{
    struct stream_line line = {*view, make_labels(view->processor, view->stream)};

    add_line(context, &line);
}

static void
add_streams(struct leat_parts *parts, struct leat_buf *out)
{
#define AT(field) offsetof(struct stream_line, view.field)
    static const struct family counts[] = {
        {"leat_records_total", AT(records)},
        {"leat_stream_records_total", AT(stream_records)},
        {"leat_bytes_total", AT(bytes)},
        {"leat_records_committed_total", AT(committed)},
        {"leat_diverted_total", AT(diverted)},
        {"leat_retries_total", AT(retries)},
        {"leat_rows_emitted_total", AT(rows_emitted)},
        {"leat_epochs_total", AT(epochs)},
        {"leat_ticks_total", AT(ticks)},
        {"leat_fenced_total", AT(fenced)},
        {"leat_rewinds_total", AT(rewinds)},
        {"leat_shards_lost_total", AT(lost_shards)},
        {"leat_checkpoints_expired_total", AT(expired_checkpoints)},
        {"leat_outside_hash_range_total", AT(outside_hash_range)},
    };
    static const struct family histograms[] = {{"leat_end_to_end_seconds", AT(end_to_end)}};
#undef AT
    struct lines lines = {.item_size = sizeof(struct stream_line),
                          .labels_at = offsetof(struct stream_line, labels)};

    leat_pipeline_each_stream(parts->pipeline, collect_stream, &lines);
    add_counts(out, &lines, counts, LEAT_COUNT_OF(counts));
    add_histograms(out, &lines, histograms, LEAT_COUNT_OF(histograms));
    lines_release(&lines);
}

/* ---- reading -------------------------------------------------------------------------------------- */

static void
collect_reading(void *context, const char *stream, const struct leat_fetcher_counts *counts)
{
    struct read_line line = {*counts, make_labels(NULL, stream)};

    add_line(context, &line);
}

static void
add_reading(struct leat_parts *parts, struct leat_buf *out)
{
#define AT(field) offsetof(struct read_line, view.field)
    static const struct family counts[] = {
        {"leat_reads_total", AT(reads)},        {"leat_read_throttles_total", AT(throttles)},
        {"leat_read_errors_total", AT(errors)}, {"leat_read_records_total", AT(records)},
        {"leat_read_bytes_total", AT(bytes)},
    };
#undef AT
    struct lines lines = {.item_size = sizeof(struct read_line),
                          .labels_at = offsetof(struct read_line, labels)};

    leat_fetcher_each_stream(parts->fetcher, collect_reading, &lines);
    add_counts(out, &lines, counts, LEAT_COUNT_OF(counts));
    lines_release(&lines);
}

void
leat_metrics_add_streams(struct leat_parts *parts, struct leat_buf *out)
{
    add_processors(parts, out);
    add_streams(parts, out);
    add_reading(parts, out);
}
