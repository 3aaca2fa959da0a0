/*
 * By its address alone a target would be another one as soon as a pooler stands before it, or a new host name. So its own id is
 * asked for; but a worker must start while its target is away: then the address has to do.
 */
#include "worker/target_name.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/database_url.h"
#include "base/memory.h"
#include "postgres/connection.h"

#define PATIENCE_US (2 * LEAT_SECOND_US)

/* A '#' would begin the id: two databases "a#1" and "b#1" would be one. */
static void
add_value(const char *value, struct leat_buf *out)
{
    for (; value != NULL && *value != '\0'; value++) {
        if (*value == '#')
            leat_buf_add_text(out, "%23");
        else
            leat_buf_add_byte(out, (unsigned char)*value);
    }
}

static void
add_address(const char *url, const char *const before[3], struct leat_buf *out)
{
    static const char *const wanted[] = {"host", "port", "dbname"};
    PQconninfoOption *options = leat_database_url_check(url, NULL) == 0 ? PQconninfoParse(url, NULL)
                                                                        : NULL;

    for (size_t i = 0; options != NULL && i < LEAT_COUNT_OF(wanted); i++) {
        for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
            if (strcmp(option->keyword, wanted[i]) != 0)
                continue;
            leat_buf_add_text(out, before[i]);
            add_value(option->val, out);
        }
    }
    PQconninfoFree(options);
}

static void
add_id(const char *url, struct leat_buf *out)
{
    struct leat_pg_options options = {.url = url,
                                      .application_name = "leat worker",
                                      .connect_timeout_us = PATIENCE_US,
                                      .answer_timeout_us = PATIENCE_US};
    struct leat_pg_connection *connection;
    struct leat_error err;
    PGresult *result;

    if (leat_pg_connect(&options, &connection, &err) != 0)
        return;
    if (leat_pg_execute(connection, "SELECT id::text FROM leat.target", NULL, &result, &err) == 0) {
        if (PQntuples(result) == 1)
            leat_buf_printf(out, "#%s", PQgetvalue(result, 0, 0));
        PQclear(result);
    }
    leat_pg_close(connection);
}

void
leat_target_name(const struct leat_target *plugin, const char *url, struct leat_buf *out)
{
    static const char *const before[] = {":", ":", ":"};

    leat_buf_add_text(out, plugin->name);
    add_address(url, before, out);
    if (strcmp(plugin->name, "postgres") == 0 || !plugin->is_transactional)
        add_id(url, out);
}

int
leat_target_name_by(struct leat_pg_connection *connection, const char *plugin, const char *url,
                    struct leat_buf *out, struct leat_error *err)
{
    static const char *const before[] = {":", ":", ":"};
    PGresult *result;
    int status =
        leat_pg_execute(connection, "SELECT id::text FROM leat.target", NULL, &result, err);

    if (status != 0)
        return status;
    leat_buf_add_text(out, plugin);
    add_address(url, before, out);
    if (PQntuples(result) == 1)
        leat_buf_printf(out, "#%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return 0;
}

void
leat_target_name_place(const char *url, struct leat_buf *out)
{
    static const char *const before[] = {"", ":", "/"};

    add_address(url, before, out);
}

const char *
leat_target_name_id(const char *name)
{
    const char *mark = strchr(name, '#');

    return mark != NULL ? mark + 1 : "";
}

bool
leat_target_name_is_same(const char *registered, const char *found)
{
    const char *registered_id = leat_target_name_id(registered);
    const char *found_id = leat_target_name_id(found);
    size_t size = strcspn(registered, "#");

    if (*registered_id != '\0' && *found_id != '\0')
        return strcmp(registered_id, found_id) == 0;
    return size == strcspn(found, "#") && strncmp(registered, found, size) == 0;
}

/* ---- over a worker's life ---------------------------------------------------------------------- */

void
leat_target_identity_init(struct leat_target_identity *identity, const char *processor)
{
    leat_mutex_init(&identity->lock);
    leat_is_unshared();
    identity->processor = processor;
    leat_buf_init(&identity->name, SIZE_MAX);
    leat_buf_init(&identity->registered, SIZE_MAX);
}

void
leat_target_identity_release(struct leat_target_identity *identity)
{
    leat_is_unshared();
    leat_buf_release(&identity->name);
    leat_buf_release(&identity->registered);
    leat_mutex_release(&identity->lock);
}

static void
set(struct leat_buf *text, const char *value)
{
    leat_buf_clear(text);
    leat_buf_add_text(text, value);
}

static void
set_id(struct leat_target_identity *identity, const char *id) LEAT_REQUIRES(identity->lock)
{
    size_t size = strcspn(leat_buf_text(&identity->name), "#");
    LEAT_AUTO_BUF name = LEAT_BUF_INIT;

    leat_buf_printf(&name, "%.*s#%s", (int)size, leat_buf_text(&identity->name), id);
    set(&identity->name, leat_buf_text(&name));
}

/*
 * Against what is registered; where that has no id, since the target was away at each start so far, against what was found first,
 * which is registered with the next round of the sync thread.
 */
int
leat_target_identity_check(void *context, struct leat_slice id, struct leat_error *err)
{
    struct leat_target_identity *identity = context;
    LEAT_AUTO_BUF found = LEAT_BUF_INIT;
    const char *known;
    int status = 0;

    leat_buf_add_slice(&found, id);
    leat_mutex_lock(&identity->lock);
    known = leat_target_name_id(leat_buf_text(&identity->registered));
    if (*known == '\0')
        known = leat_target_name_id(leat_buf_text(&identity->name));
    if (*known != '\0' && strcmp(known, leat_buf_text(&found)) != 0)
        status = leat_error_set(err, LEAT_E_CONFLICT,
                                "this is another target: its id is %s, and processor \"%s\" has "
                                "committed to %s: nothing is written; mend the url, or say `leat "
                                "processors retarget %s` if that one was rebuilt",
                                leat_buf_text(&found), identity->processor,
                                identity->registered.size > 0 ? leat_buf_text(&identity->registered)
                                                              : leat_buf_text(&identity->name),
                                identity->processor);
    else if (strcmp(leat_target_name_id(leat_buf_text(&identity->name)), leat_buf_text(&found)) !=
             0)
        set_id(identity, leat_buf_text(&found));
    leat_mutex_unlock(&identity->lock);
    return status;
}

void
leat_target_identity_current(void *context, struct leat_buf *out)
{
    struct leat_target_identity *identity = context;

    leat_mutex_lock(&identity->lock);
    leat_buf_add_slice(out, leat_buf_slice(&identity->name));
    leat_mutex_unlock(&identity->lock);
}

void
leat_target_identity_registered(void *context, const char *target_id)
{
    struct leat_target_identity *identity = context;

    leat_mutex_lock(&identity->lock);
    set(&identity->registered, target_id);
    leat_mutex_unlock(&identity->lock);
}
