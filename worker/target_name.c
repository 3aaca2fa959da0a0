/*
 * By its address alone a target would be another one as soon as a pooler stands before it, or a new host name. So its own id is
 * asked for; but a worker must start while its target is away: then the address has to do.
 */
#include "worker/target_name.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/clock.h"
#include "base/database_url.h"
#include "base/memory.h"
#include "postgres/connection.h"

#define PATIENCE_US (2 * LEAT_SECOND_US)

static void
add_address(const char *url, struct leat_buf *out)
{
    static const char *const wanted[] = {"host", "port", "dbname"};
    PQconninfoOption *options = leat_database_url_check(url, NULL) == 0 ? PQconninfoParse(url, NULL)
                                                                        : NULL;

    for (size_t i = 0; options != NULL && i < LEAT_COUNT_OF(wanted); i++) {
        for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
            if (strcmp(option->keyword, wanted[i]) == 0)
                leat_buf_printf(out, ":%s", option->val != NULL ? option->val : "");
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
    leat_buf_add_text(out, plugin->name);
    add_address(url, out);
    if (strcmp(plugin->name, "postgres") == 0)
        add_id(url, out);
}
