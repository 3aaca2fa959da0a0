/* What plugins count: several processors may use one plugin, so that one name has samples of several hosts. */
#include <stdlib.h>
#include <string.h>

#include "base/exposition.h"
#include "base/memory.h"
#include "worker/host.h"
#include "worker/metrics_parts.h"

struct plugin_sample {
    char *name;
    size_t processor;
    bool is_gauge;
    double value;
};

struct plugin_samples {
    struct plugin_sample *items;
    size_t count, capacity;
    size_t processor;
};

static void
collect(void *context, const char *name, bool is_gauge, double value)
{
    struct plugin_samples *samples = context;

    LEAT_GROW(samples->items, samples->count, samples->capacity);
    samples->items[samples->count++] =
        (struct plugin_sample){leat_strdup(name), samples->processor, is_gauge, value};
}

static int
compare(const void *left, const void *right)
{
    const struct plugin_sample *a = left, *b = right;
    int order = strcmp(a->name, b->name);

    if (order == 0)
        order = a->processor < b->processor ? -1 : a->processor > b->processor;
    return order != 0 ? order : a->is_gauge - b->is_gauge;
}

/* Those of one name; what two plugins call by one name may be a counter of the one and a gauge of the other. */
static const char *
type_of(const struct plugin_sample *samples, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (samples[i].is_gauge != samples[0].is_gauge)
            return "untyped";
    }
    return samples[0].is_gauge ? "gauge" : "counter";
}

static size_t
same_name(const struct plugin_samples *samples, size_t from)
{
    size_t to = from + 1;

    while (to < samples->count && strcmp(samples->items[to].name, samples->items[from].name) == 0)
        to++;
    return to;
}

void
leat_metrics_add_plugins(struct leat_parts *parts, struct leat_buf *out)
{
    struct plugin_samples samples = {0};

    for (; samples.processor < parts->config->processor_count; samples.processor++)
        leat_plugin_host_each_metric(leat_parts_host(parts, samples.processor), collect, &samples);
    leat_sort(samples.items, samples.count, sizeof *samples.items, compare);
    for (size_t from = 0, to; from < samples.count; from = to) {
        to = same_name(&samples, from);
        leat_exposition_head(out, samples.items[from].name,
                             type_of(&samples.items[from], to - from), "a plugin's own");
        for (size_t i = from; i < to; i++) {
            const struct plugin_sample *sample = &samples.items[i];
            LEAT_AUTO_BUF labels = LEAT_BUF_INIT;

            /* "x" counted and "x_total" set by one plugin are one name. */
            if (i > from && sample->processor == samples.items[i - 1].processor)
                continue;
            leat_exposition_label(
                &labels, "processor",
                leat_slice_from(parts->config->processors[sample->processor].name));
            leat_exposition_sample(out, sample->name, leat_buf_text(&labels), sample->value);
        }
    }
    for (size_t i = 0; i < samples.count; i++)
        free(samples.items[i].name);
    free(samples.items);
}
