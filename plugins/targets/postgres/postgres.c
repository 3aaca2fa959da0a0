/*
 * The Postgres target: rows, progress, ledger and fence in one transaction. The model for other targets: what is Postgres'
 * own stands in lib/postgres (committer.h: take.c and commit.c), this file joins it to leat/target.h.
 */
#include <leat/target.h>

#include <stdlib.h>

#include "base/memory.h"
#include "describe.h"
#include "postgres/committer.h"
#include "postgres/migrate.h"

struct target {
    const struct leat_host *host;
    char *url, *application;
    struct leat_pg_names names;
    leat_url_fn current_url;
    void *url_context;
    leat_check_id_fn check_id;
    void *id_context;
    char *leases_name; /* NULL: not known */
};

static const struct leat_option options[] = {
    {"schema", LEAT_OPTION_TEXT, 0, "public", NULL, 0, 0, "the schema of the tables"},
    {"tables", LEAT_OPTION_MAP, 0, NULL, NULL, 0, 0,
     "other names for tables: { device_minutes: weather_minutes }"},
    LEAT_END,
};

static int
target_open(const struct leat_host *host, const struct leat_target_context *context,
            const struct leat_options *given, void **ret_target, struct leat_error *err)
{
    const struct leat_option_value *tables = leat_option_get(given, "tables");
    struct target *target = LEAT_NEW(struct target);

    target->host = host;
    target->url = leat_slice_strdup(context->url);
    target->application = leat_slice_strdup(context->application);
    /* A host of before does not know them. */
    if (context->size >= offsetof(struct leat_target_context, check_id)) {
        target->current_url = context->current_url;
        target->url_context = context->url_context;
    }
    if (context->size >= sizeof *context) {
        target->check_id = context->check_id;
        target->id_context = context->id_context;
        if (context->leases_name.size > 0)
            target->leases_name = leat_slice_strdup(context->leases_name);
    }
    target->names.schema = leat_option_get(given, "schema")->text;
    target->names.pairs = tables->list;
    target->names.pair_count = tables->list_count / 2;
    *ret_target = target;
    return 0;
}

static void
target_close(void *state)
{
    struct target *target = state;

    if (target == NULL)
        return;
    free(target->url);
    free(target->application);
    free(target->leases_name);
    free(target);
}

static int
target_describe(void *state, const struct leat_table *tables, leat_mismatch_fn report,
                void *context, struct leat_error *err)
{
    struct target *target = state;
    struct leat_pg_options connect = {.url = target->url,
                                      .application_name = "leat validate",
                                      .current_url = target->current_url,
                                      .url_context = target->url_context};
    struct leat_pg_connection *connection;
    struct leat_error schema;
    int status = leat_pg_connect(&connect, &connection, err);

    if (status != 0)
        return status;
    if (leat_schema_check(connection, "target", &schema) != 0)
        report(context, schema.text);
    status = leat_postgres_describe(connection, &target->names, tables, report, context, err);
    leat_pg_close(connection);
    return status;
}

static int
target_ddl(void *state, const struct leat_table *tables, leat_write_fn write, void *context,
           struct leat_error *err)
{
    struct target *target = state;

    for (; tables->name != NULL; tables++) {
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        leat_pg_create_sql(&target->names, tables, &text);
        write(context, leat_buf_text(&text), text.size);
    }
    return 0;
}

static void
warn(void *context, const char *text)
{
    const struct target *target = context;

    target->host->log(target->host, LEAT_LOG_WARNING, text);
}

static int
committer_open(void *state, const struct leat_table *tables, unsigned index, void **ret_committer,
               struct leat_error *err)
{
    struct target *target = state;
    struct leat_pg_committer_options committer = {
        .connection = {.url = target->url,
                       .application_name = "leat committer",
                       .current_url = target->current_url,
                       .url_context = target->url_context},
        .application = target->application,
        .names = &target->names,
        .tables = tables,
        .check_id = target->check_id,
        .id_context = target->id_context,
        .warn = warn,
        .warn_context = target,
        .leases_name = target->leases_name,
    };

    *ret_committer = leat_pg_committer_new(&committer);
    return 0;
}

static void
committer_close(void *committer)
{
    leat_pg_committer_free(committer);
}

static int
take(void *committer, struct leat_take *takes, size_t count, struct leat_error *err)
{
    return leat_pg_take(committer, takes, count, err);
}

static int
count_takes(void *committer, struct leat_take_count *counts, size_t count, struct leat_error *err)
{
    return leat_pg_count_takes(committer, counts, count, err);
}

static int
progress_read(void *committer, const struct leat_progress_key *keys, size_t count,
              struct leat_progress *ret_progress, struct leat_error *err)
{
    return leat_pg_progress_read(committer, keys, count, ret_progress, err);
}

static int
progress_forget(void *committer, const struct leat_progress_forget *forget, size_t *ret_removed,
                struct leat_error *err)
{
    return leat_pg_progress_forget(committer, forget, ret_removed, err);
}

static void
forms(void *committer, size_t table, struct leat_table_forms *ret_forms)
{
    leat_pg_forms(committer, table, ret_forms);
}

static int
progress_list(void *committer, const struct leat_progress_key *of, leat_shard_fn each,
              void *context, struct leat_error *err)
{
    return leat_pg_progress_list(committer, of, each, context, err);
}

static int
progress_reopen(void *committer, struct leat_progress_reopen *reopen, struct leat_error *err)
{
    return leat_pg_progress_reopen(committer, reopen, err);
}

static int
resolve(void *committer, const struct leat_flush *flush, struct leat_commit_result *results,
        struct leat_error *err)
{
    return leat_pg_resolve(committer, flush, results, err);
}

/* Quoted as an identifier. */
static void
add_quoted(struct leat_buf *out, struct leat_slice name)
{
    leat_buf_add_byte(out, '"');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"')
            leat_buf_add_byte(out, '"');
        leat_buf_add_byte(out, name.data[i]);
    }
    leat_buf_add_byte(out, '"');
}

static int
target_grants(void *state, const struct leat_table *tables, struct leat_slice user,
              leat_write_fn write, void *context, struct leat_error *err)
{
    struct target *target = state;
    LEAT_AUTO_BUF role = LEAT_BUF_INIT;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    add_quoted(&role, user);
    leat_buf_add_text(&text, "GRANT USAGE ON SCHEMA ");
    add_quoted(&text, target->names.schema);
    leat_buf_printf(&text, " TO %s;\n", leat_buf_text(&role));
    for (; tables->name != NULL; tables++) {
        leat_buf_add_text(&text, "GRANT SELECT, INSERT, UPDATE, DELETE ON ");
        leat_pg_table_name(&target->names, tables->name, &text);
        leat_buf_printf(&text, " TO %s;\n", leat_buf_text(&role));
    }
    write(context, leat_buf_text(&text), text.size);
    return 0;
}

static int
commit(void *committer, const struct leat_flush *flush, struct leat_commit_result *results,
       struct leat_error *err)
{
    return leat_pg_commit(committer, flush, results, err);
}

static int
try_rows(void *committer, const struct leat_trial *trial, enum leat_trial_outcome *ret_outcome,
         struct leat_error *err)
{
    return leat_pg_try_rows(committer, trial, ret_outcome, err);
}

LEAT_TARGET(.name = "postgres", .version = LEAT_VERSION,
            .summary = "rows, progress and ledger in one transaction: exactly once",
            .options = options, .is_transactional = true, .open = target_open,
            .close = target_close, .describe = target_describe, .ddl = target_ddl,
            .committer_open = committer_open, .committer_close = committer_close, .take = take,
            .progress_read = progress_read, .resolve = resolve, .commit = commit,
            .progress_forget = progress_forget, .try_rows = try_rows,
            .progress_list = progress_list, .forms = forms, .grants = target_grants,
            .progress_reopen = progress_reopen, .count_takes = count_takes);
