/* Which databases a configuration means. A target is asked by its plugin's own name: a file may be called anything. */
#include "worker/databases.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/units.h"
#include "plugin/loader.h"
#include "worker/setup.h"

void
leat_databases_add(struct leat_databases *databases, const char *url, bool has_lease)
{
    for (size_t i = 0; i < databases->count; i++) {
        if (strcmp(databases->items[i].url, url) == 0)
            return;
    }
    LEAT_GROW(databases->items, databases->count, databases->capacity);
    databases->items[databases->count++] = (struct leat_database){leat_strdup(url), has_lease};
}

void
leat_databases_release(struct leat_databases *databases)
{
    for (size_t i = 0; i < databases->count; i++)
        free(databases->items[i].url);
    free(databases->items);
    *databases = (struct leat_databases){0};
}

static int
add_target(const struct leat_config *config, const struct leat_config_processor *processor,
           struct leat_databases *databases, struct leat_error *err)
{
    struct leat_plugin_path path = {config->plugin_path};
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    const struct leat_target *target;

    if (leat_plugin_load_target(&path, processor->target.plugin, processor->target.sha256, &target,
                                err) != 0)
        return leat_error_prefix(err, "target of processor \"%s\"", processor->name);
    if (strcmp(target->name, "postgres") != 0)
        return 0;
    if (leat_setup_target_url(config, processor, &url, err) != 0)
        return leat_error_prefix(err, "target of processor \"%s\"", processor->name);
    leat_databases_add(databases, leat_buf_text(&url), false);
    return 0;
}

int
leat_databases_of(const struct leat_config *config, struct leat_databases *databases,
                  struct leat_error *err)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    int status = leat_setup_database_url(config, &url, err);

    if (status != 0)
        return leat_error_prefix(err, "lease database");
    leat_databases_add(databases, leat_buf_text(&url), true);
    for (size_t i = 0; status == 0 && i < config->processor_count; i++)
        status = add_target(config, &config->processors[i], databases, err);
    return status;
}

/* ---- ddl ----------------------------------------------------------------------------------- */

static void
write_out(void *context, const char *text, size_t size)
{
    leat_buf_add(context, text, size);
}

/* What is asked of each processor's target. */
struct asking {
    const char *user; /* of grants; NULL: the tables' ddl */
    struct leat_buf *out;
};

static bool
has_statements(const struct leat_target *target, const struct asking *asking)
{
    if (asking->user == NULL)
        return target->ddl != NULL;
    return target->size >= offsetof(struct leat_target, grants) + sizeof target->grants &&
           target->grants != NULL;
}

static int
ask_target(const struct leat_setup_processor *setup, const struct leat_config *config,
           const struct leat_table *tables, const struct asking *asking, struct leat_error *err)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_error unread;
    void *target;
    int status;

    leat_buf_printf(asking->out, "-- processor %s, target %s\n", setup->config->name,
                    setup->target->name);
    if (!has_statements(setup->target, asking)) {
        leat_buf_printf(asking->out, "-- (nothing to %s)\n",
                        asking->user == NULL ? "make" : "grant");
        return 0;
    }
    /* Nothing connects: where the URL's file is not at hand, the statements are the same. */
    leat_setup_target_url(config, setup->config, &url, &unread);
    status = leat_setup_target_open(setup, config, leat_buf_text(&url), &target, err);
    if (status != 0)
        return status;
    if (asking->user == NULL)
        status = setup->target->ddl(target, tables, write_out, asking->out, err);
    else
        status = setup->target->grants(target, tables, leat_slice_from(asking->user), write_out,
                                       asking->out, err);
    setup->target->close(target);
    return status;
}

static int
ask(const struct leat_config *config, size_t index, const struct asking *asking)
{
    struct leat_setup_processor setup;
    const struct leat_table *tables;
    struct leat_error err;
    void *instance;
    int status = leat_setup_processor_init(&setup, config, index, leat_setup_report, NULL);

    if (status == 0) {
        tables = leat_setup_tables(&setup, &leat_setup_host, &instance, &err);
        status = tables == NULL ? err.code : ask_target(&setup, config, tables, asking, &err);
        if (tables != NULL)
            leat_setup_tables_release(&setup, instance);
        if (status != 0)
            fprintf(stderr, "leat db: processor \"%s\": %s\n", setup.config->name, err.text);
    }
    leat_setup_processor_release(&setup);
    return status == 0 ? LEAT_EXIT_OK : LEAT_EXIT_USAGE;
}

static int
add_ddl(const struct leat_config *config, size_t index, struct leat_buf *out)
{
    return ask(config, index, &(struct asking){NULL, out});
}

static int
refuse_processor(const struct leat_config *config, const char *name)
{
    LEAT_AUTO_FREE const char **names = leat_alloc_zero(config->processor_count + 1, sizeof *names);
    const char *nearest;

    for (size_t i = 0; i < config->processor_count; i++)
        names[i] = config->processors[i].name;
    nearest = leat_did_you_mean(name, names);
    fprintf(stderr, "leat db: there is no processor \"%s\"%s%s%s\n", name,
            nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "\"?" : "");
    return LEAT_EXIT_USAGE;
}

int
leat_databases_ddl(const struct leat_config *config, struct leat_buf *out)
{
    int code = LEAT_EXIT_OK;

    for (size_t i = 0; i < config->processor_count; i++) {
        if (add_ddl(config, i, out) != LEAT_EXIT_OK)
            code = LEAT_EXIT_USAGE;
    }
    return code;
}

int
leat_databases_print_ddl(const struct leat_config *config, const char *processor)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    int code = LEAT_EXIT_OK;
    bool is_found = false;

    for (size_t i = 0; i < config->processor_count; i++) {
        if (processor != NULL && strcmp(config->processors[i].name, processor) != 0)
            continue;
        is_found = true;
        if (add_ddl(config, i, &out) != LEAT_EXIT_OK)
            code = LEAT_EXIT_USAGE;
    }
    if (!is_found)
        return refuse_processor(config, processor);
    fputs(leat_buf_text(&out), stdout);
    return code;
}

int
leat_databases_grants(const struct leat_config *config, const char *user, struct leat_buf *out)
{
    int code = LEAT_EXIT_OK;

    for (size_t i = 0; i < config->processor_count; i++) {
        if (ask(config, i, &(struct asking){user, out}) != LEAT_EXIT_OK)
            code = LEAT_EXIT_USAGE;
    }
    return code;
}
