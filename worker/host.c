/* Plugins' counters are kept by name, at most so many: a plugin that makes names up cannot fill the memory. */
#include "worker/host.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/thread.h"
#include "stream/position.h"

#define MAXIMUM_METRICS 64

struct metric {
    char *name;
    double value;
    bool is_gauge;
};

struct leat_plugin_host {
    struct leat_host table;
    char *kind, *name;
    struct leat_mutex lock;
    struct leat_map by_name LEAT_FIELD_GUARDED_BY(lock);
};

static void
write_log(const struct leat_host *host, enum leat_log_level level, const char *text)
{
    const struct leat_plugin_host *self = host->context;

    leat_log_event(level, text, "plugin", self->name, "kind", self->kind, NULL);
}

static bool
is_name(const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    }
    return size > 0 && size <= 64;
}

/* A counter's ends in _total, once. */
static char *
shown_name(const char *name, bool is_gauge)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    size_t size = strlen(name);
    bool is_total = size > 6 && strcmp(name + size - 6, "_total") == 0;

    leat_buf_printf(&text, "leat_plugin_%s%s", name, is_gauge || is_total ? "" : "_total");
    return leat_buf_take(&text);
}

static struct metric *
find(struct leat_plugin_host *self, const char *name, bool is_gauge) LEAT_REQUIRES(self->lock)
{
    struct metric *metric = leat_map_get(&self->by_name, leat_slice_from(name));

    if (metric != NULL || !is_name(name) || self->by_name.count >= MAXIMUM_METRICS)
        return metric;
    metric = LEAT_NEW(struct metric);
    metric->name = shown_name(name, is_gauge);
    metric->is_gauge = is_gauge;
    leat_map_put(&self->by_name, leat_slice_from(name), metric);
    return metric;
}

static void
counter_add(const struct leat_host *host, const char *name, double amount)
{
    struct leat_plugin_host *self = host->context;
    struct metric *metric;

    leat_mutex_lock(&self->lock);
    metric = find(self, name, false);
    if (metric != NULL && amount > 0)
        metric->value += amount;
    leat_mutex_unlock(&self->lock);
}

static void
gauge_set(const struct leat_host *host, const char *name, double value)
{
    struct leat_plugin_host *self = host->context;
    struct metric *metric;

    leat_mutex_lock(&self->lock);
    metric = find(self, name, true);
    if (metric != NULL)
        metric->value = value;
    leat_mutex_unlock(&self->lock);
}

static int
sequence_compare(const struct leat_host *host, struct leat_slice a, struct leat_slice b)
{
    return leat_sequence_order(a, b);
}

static int64_t
now_us(const struct leat_host *host)
{
    return leat_clock_wall_us();
}

struct leat_plugin_host *
leat_plugin_host_new(const char *kind, const char *name)
{
    struct leat_plugin_host *self = LEAT_NEW(struct leat_plugin_host);

    leat_is_unshared();
    self->kind = leat_strdup(kind);
    self->name = leat_strdup(name);
    leat_mutex_init(&self->lock);
    leat_map_init(&self->by_name);
    self->table = (struct leat_host){
        .size = sizeof self->table,
        .context = self,
        .log = write_log,
        .counter_add = counter_add,
        .gauge_set = gauge_set,
        .sequence_compare = sequence_compare,
        .now_us = now_us,
    };
    return self;
}

static void
metric_free(void *value)
{
    struct metric *metric = value;

    free(metric->name);
    free(metric);
}

void
leat_plugin_host_free(struct leat_plugin_host *host)
{
    if (host == NULL)
        return;
    leat_is_unshared();
    leat_map_release(&host->by_name, metric_free);
    leat_mutex_release(&host->lock);
    free(host->kind);
    free(host->name);
    free(host);
}

const struct leat_host *
leat_plugin_host_table(struct leat_plugin_host *host)
{
    return &host->table;
}

void
leat_plugin_host_each_metric(struct leat_plugin_host *host,
                             void (*each)(void *context, const char *name, bool is_gauge,
                                          double value),
                             void *context)
{
    struct leat_map_entry *entry;

    leat_mutex_lock(&host->lock);
    for (size_t i = 0; (entry = leat_map_next(&host->by_name, &i)) != NULL;) {
        const struct metric *metric = entry->value;

        each(context, metric->name, metric->is_gauge, metric->value);
    }
    leat_mutex_unlock(&host->lock);
}
