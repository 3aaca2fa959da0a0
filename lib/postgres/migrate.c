/*
 * Migrations. Races it survives: (1) two `leat db migrate` at once: the advisory lock makes them one after the other, and
 * the second finds nothing to do; (2) kill -9 in the middle: a migration and its count are one transaction. The lock is the
 * transaction's, and the version is read under it: so it holds behind a pooler, too, where no session is ours.
 */
#include "postgres/migrate.h"

#include "postgres/array.h"
#include "postgres/schemas.h"

#define MIGRATION_LOCK "SELECT pg_advisory_xact_lock(7813525311283447156)"
#define VERSIONS_TABLE                                                                             \
    "CREATE SCHEMA IF NOT EXISTS leat;"                                                            \
    "CREATE TABLE IF NOT EXISTS leat.schema_versions (role text PRIMARY KEY, "                     \
    "version integer NOT NULL,"                                                                    \
    " min_worker_version integer NOT NULL DEFAULT 0,"                                              \
    " changed_at timestamptz NOT NULL DEFAULT clock_timestamp())"

static int
wanted_version(const char *role)
{
    int wanted = 0;

    for (const struct leat_schema *schema = leat_schemas; schema->role != NULL; schema++) {
        if (strcmp(schema->role, role) == 0 && schema->version > wanted)
            wanted = schema->version;
    }
    return wanted;
}

static int
has_versions(struct leat_pg_connection *connection, bool *ret_has, struct leat_error *err)
{
    PGresult *result;
    int status = leat_pg_execute(
        connection, "SELECT to_regclass('leat.schema_versions') IS NOT NULL", NULL, &result, err);

    if (status == 0) {
        *ret_has = PQgetvalue(result, 0, 0)[0] != 0;
        PQclear(result);
    }
    return status;
}

int
leat_schema_status(struct leat_pg_connection *connection, const char *role,
                   struct leat_schema_status *ret_status, struct leat_error *err)
{
    struct leat_schema_status state = {.wanted = wanted_version(role)};
    struct leat_pg_parameters parameters;
    PGresult *result;
    bool has = false;
    int status = has_versions(connection, &has, err);

    if (status == 0 && has) {
        leat_pg_parameters_init(&parameters);
        leat_pg_add_text(&parameters, role);
        status = leat_pg_execute(
            connection,
            "SELECT version, min_worker_version FROM leat.schema_versions WHERE role = $1",
            &parameters, &result, err);
        if (status == 0 && PQntuples(result) == 1) {
            state.version = leat_pg_int4(PQgetvalue(result, 0, 0));
            state.min_worker_version = leat_pg_int4(PQgetvalue(result, 0, 1));
        }
        if (status == 0)
            PQclear(result);
    }
    if (status == 0)
        *ret_status = state;
    return status;
}

static const struct leat_schema *
next_of(const struct leat_schema_status *state, const char *role)
{
    for (const struct leat_schema *schema = leat_schemas; schema->role != NULL; schema++) {
        if (strcmp(schema->role, role) == 0 && schema->version > state->version)
            return schema;
    }
    return NULL;
}

static int
apply_one(struct leat_pg_connection *connection, const struct leat_schema *schema,
          struct leat_error *err)
{
    LEAT_AUTO_BUF script = LEAT_BUF_INIT;

    leat_buf_printf(&script, "%s\n", schema->sql);
    leat_buf_printf(&script,
                    "INSERT INTO leat.schema_versions (role, version) VALUES ('%s', %d) "
                    "ON CONFLICT (role) DO UPDATE SET version = excluded.version, changed_at = "
                    "clock_timestamp();",
                    schema->role, schema->version);
    if (leat_pg_script(connection, leat_buf_text(&script), err) == 0)
        return 0;
    return leat_error_prefix(err, "migration \"%s/%s\"", schema->role, schema->name);
}

/* In a transaction that has the lock: the next one, if there is one. */
static int
apply_next(struct leat_pg_connection *connection, const char *role, bool *ret_is_done,
           struct leat_error *err)
{
    const struct leat_schema *next;
    struct leat_schema_status state;
    int status = leat_schema_status(connection, role, &state, err);

    if (status == 0 && state.version > state.wanted)
        return leat_error_set(
            err, LEAT_E_CONFLICT,
            "the %s schema has version %d, this program knows %d: use a newer leat", role,
            state.version, state.wanted);
    if (status != 0)
        return status;
    next = next_of(&state, role);
    *ret_is_done = next == NULL;
    return next == NULL ? 0 : apply_one(connection, next, err);
}

int
leat_schema_migrate(struct leat_pg_connection *connection, const char *role, int *ret_applied,
                    struct leat_error *err)
{
    int applied = 0, status = 0;
    bool is_done = false;

    while (status == 0 && !is_done) {
        status = leat_pg_script(connection, "BEGIN; " MIGRATION_LOCK, err);
        if (status == 0)
            status = leat_pg_script(connection, VERSIONS_TABLE, err);
        if (status == 0)
            status = apply_next(connection, role, &is_done, err);
        if (status == 0)
            status = leat_pg_script(connection, "COMMIT", err);
        applied += status == 0 && !is_done;
    }
    if (status != 0 && !leat_pg_is_broken(connection))
        leat_pg_script(connection, "ROLLBACK", NULL);
    if (status == 0)
        *ret_applied = applied;
    return status;
}

int
leat_schema_check(struct leat_pg_connection *connection, const char *role, struct leat_error *err)
{
    struct leat_schema_status state;
    int status = leat_schema_status(connection, role, &state, err);

    if (status != 0)
        return status;
    if (state.version < state.wanted)
        return leat_error_set(
            err, LEAT_E_INVALID,
            "the %s schema has version %d, this program needs %d: run `leat db migrate`", role,
            state.version, state.wanted);
    if (state.min_worker_version > state.wanted)
        return leat_error_set(err, LEAT_E_INVALID,
                              "the %s schema wants workers that know version %d, this program "
                              "knows %d: use a newer leat",
                              role, state.min_worker_version, state.wanted);
    return 0;
}

void
leat_schema_grants(const char *role, const char *database_user, struct leat_buf *out)
{
    LEAT_AUTO_BUF user = LEAT_BUF_INIT;

    leat_buf_add_byte(&user, '"');
    for (; *database_user != '\0'; database_user++) {
        if (*database_user == '"')
            leat_buf_add_byte(&user, '"');
        leat_buf_add_byte(&user, (unsigned char)*database_user);
    }
    leat_buf_add_byte(&user, '"');
    leat_buf_printf(out, "-- %s\nGRANT USAGE ON SCHEMA leat TO %s;\n", role, leat_buf_text(&user));
    leat_buf_printf(out,
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA leat TO %s;\n",
                    leat_buf_text(&user));
    /* What says which tables there are is read alone, and what is in the ledger stays. */
    leat_buf_printf(out,
                    "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON leat.schema_versions FROM %s;\n",
                    leat_buf_text(&user));
    if (strcmp(role, "target") == 0)
        leat_buf_printf(out, "REVOKE UPDATE, DELETE, TRUNCATE ON leat.failures FROM %s;\n",
                        leat_buf_text(&user));
    leat_buf_printf(out, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA leat TO %s;\n",
                    leat_buf_text(&user));
}
