/* One query a table. Domains are followed down to what they are made of. */
#include "postgres/facts.h"

#include <stdlib.h>

#include "base/memory.h"
#include "postgres/array.h"
#include "postgres/upsert.h"

static const char facts_sql[] =
    "WITH RECURSIVE layer AS (SELECT a.attnum, a.attname::text AS name, a.atttypid AS type, "
    "a.atttypmod AS modifier, a.attnotnull AS is_not_null, a.attcollation AS collation, "
    "a.attgenerated <> '' OR a.attidentity <> '' AS is_made, "
    "pg_get_expr(d.adbin, d.adrelid) AS initial, "
    "has_column_privilege(a.attrelid, a.attnum, 'UPDATE') AND "
    "has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS is_ours "
    "FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped "
    "UNION ALL SELECT l.attnum, l.name, t.typbasetype, "
    "CASE WHEN t.typtypmod < 0 THEN l.modifier ELSE t.typtypmod END, "
    "l.is_not_null OR t.typnotnull, l.collation, l.is_made, coalesce(l.initial, t.typdefault), "
    "l.is_ours FROM layer l JOIN pg_type t ON t.oid = l.type WHERE t.typtype = 'd') "
    "SELECT l.name, CASE WHEN n.nspname = 'pg_catalog' THEN t.typname::text ELSE '' END, "
    "format('%I.%I', n.nspname, t.typname), l.modifier, l.is_not_null, l.initial, l.is_made, "
    "l.is_ours, coalesce((SELECT NOT c.collisdeterministic FROM pg_collation c "
    "WHERE c.oid = l.collation), false), "
    "coalesce((SELECT format('OPERATOR(%I.%s)', m.nspname, o.oprname) FROM pg_opclass c "
    "JOIN pg_am x ON x.oid = c.opcmethod AND x.amname = 'btree' "
    "JOIN pg_amop w ON w.amopfamily = c.opcfamily AND w.amoplefttype = c.opcintype "
    "AND w.amoprighttype = c.opcintype AND w.amopstrategy = 3 "
    "JOIN pg_operator o ON o.oid = w.amopopr JOIN pg_namespace m ON m.oid = o.oprnamespace "
    "WHERE c.opcintype = l.type AND c.opcdefault AND m.nspname <> 'pg_catalog'), '='), "
    "format_type(l.type, NULL) "
    "FROM layer l JOIN pg_type t ON t.oid = l.type JOIN pg_namespace n ON n.oid = t.typnamespace "
    "WHERE t.typtype <> 'd'";

/* Triggers that see a row before it is inserted may change its key; those of partitions, too. */
static const char triggers_sql[] =
    "SELECT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid IN (SELECT to_regclass($1)::oid "
    "UNION ALL SELECT p.relid FROM pg_partition_tree(to_regclass($1)) p) AND NOT g.tgisinternal "
    "AND g.tgenabled <> 'D' AND g.tgtype & 7 = 7)";

/*
 * A table's print: its oid, and who wrote the rows of pg_catalog that describe its columns, its triggers and its domains last.
 * Statements that only look like a change (a rollback, a REINDEX) may change it: then the facts are read again, no more.
 */
#define PRINT_BEGIN                                                                                \
    "concat_ws(' ', to_regclass($1)::oid, (SELECT string_agg(concat(a.attnum, ':', a.xmin), ' ') " \
    "FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0), "                   \
    "(SELECT string_agg(concat(g.oid, ':', g.xmin), ' ') FROM pg_trigger g WHERE g.tgrelid "
#define PRINT_TRIGGERS "= to_regclass($1))"
#define PRINT_PARTITIONS "IN (SELECT p.relid FROM pg_partition_tree(to_regclass($1)) p))"
#define PRINT_DOMAINS                                                                              \
    ", (SELECT string_agg(concat(t.oid, ':', t.xmin), ' ') FROM pg_type t WHERE t.oid = ANY "

/* What kind of print a table needs: is it partitioned, and the domains of its columns, down to what they are made of. */
static const char kind_sql[] =
    "WITH RECURSIVE layer AS (SELECT a.atttypid AS type FROM pg_attribute a "
    "WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped "
    "UNION SELECT t.typbasetype FROM layer l JOIN pg_type t ON t.oid = l.type "
    "WHERE t.typtype = 'd') "
    "SELECT EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind = 'p'), "
    "(SELECT array_agg(t.oid ORDER BY t.oid)::text FROM layer l JOIN pg_type t ON t.oid = l.type "
    "WHERE t.typtype = 'd')";

enum {
    COLUMN_NAME,
    COLUMN_BUILTIN,
    COLUMN_TYPE,
    COLUMN_MODIFIER,
    COLUMN_NOT_NULL,
    COLUMN_INITIAL,
    COLUMN_MADE,
    COLUMN_OURS,
    COLUMN_FOLDING,
    COLUMN_EQUALS,
    COLUMN_TEXT
};

/* ---- defaults ---------------------------------------------------------------------------------- */

/* Is the rest a cast, closing quotes and parentheses at most? */
static bool
is_only_a_cast(const char *text)
{
    return *text == '\0' ||
           (strchr("'):", *text) != NULL &&
            text[strspn(text, "'\":()., _abcdefghijklmnopqrstuvwxyz0123456789")] == '\0');
}

bool
leat_pg_default_is_null(const char *expression)
{
    return strncmp(expression, "NULL", 4) == 0 && is_only_a_cast(expression + 4);
}

bool
leat_pg_default_is_zero(const char *expression)
{
    const char *number = expression + strspn(expression, "('-");
    size_t size = strspn(number, "0.");

    return memchr(number, '0', size) != NULL && is_only_a_cast(number + size);
}

/* ---- forms ------------------------------------------------------------------------------------- */

/* What a modifier of numeric says; the scale has eleven bits and a sign. */
static struct leat_form
numeric_form(int32_t modifier)
{
    struct leat_form form = {.kind = LEAT_FORM_NUMERIC};

    if (modifier < 4)
        return (struct leat_form){0};
    form.digits = ((modifier - 4) >> 16) & 0xFFFF;
    form.scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024;
    return form;
}

static struct leat_form
text_form(uint32_t kind, int32_t modifier)
{
    if (modifier < 4)
        return (struct leat_form){.kind = kind == LEAT_FORM_CHAR ? kind : LEAT_FORM_SAME};
    return (struct leat_form){.kind = kind, .digits = modifier - 4};
}

/* *ret_is_known: values that differ by this form differ in a key of this type. */
static struct leat_form
form_of(enum leat_type declared, const char *builtin, int32_t modifier, bool *ret_is_known)
{
    *ret_is_known = true;
    if (strcmp(builtin, "numeric") == 0 && (declared == LEAT_DECIMAL || declared == LEAT_INT64))
        return numeric_form(modifier);
    if (strcmp(builtin, "int8") == 0 || strcmp(builtin, "int4") == 0 ||
        strcmp(builtin, "int2") == 0) {
        int32_t bytes = builtin[3] - '0';

        if (declared == LEAT_DECIMAL)
            return (struct leat_form){.kind = LEAT_FORM_INTEGER, .digits = bytes};
        if (declared == LEAT_INT64)
            return (struct leat_form){.kind = bytes == 8 ? LEAT_FORM_SAME : LEAT_FORM_INTEGER,
                                      .digits = bytes};
    }
    if (declared == LEAT_FLOAT64 && strcmp(builtin, "float4") == 0)
        return (struct leat_form){.kind = LEAT_FORM_FLOAT32};
    if (declared == LEAT_TIMESTAMP && strcmp(builtin, "timestamptz") == 0)
        return (struct leat_form){.kind = modifier < 0 ? LEAT_FORM_SAME : LEAT_FORM_TIMESTAMP,
                                  .scale = modifier};
    if (declared == LEAT_TEXT && strcmp(builtin, "text") == 0)
        return (struct leat_form){0};
    if (declared == LEAT_TEXT && strcmp(builtin, "varchar") == 0)
        return text_form(LEAT_FORM_VARCHAR, modifier);
    if (declared == LEAT_TEXT && strcmp(builtin, "bpchar") == 0)
        return text_form(LEAT_FORM_CHAR, modifier);
    if (declared == LEAT_TEXT && strcmp(builtin, "uuid") == 0)
        return (struct leat_form){.kind = LEAT_FORM_UUID};
    *ret_is_known = (declared == LEAT_BYTES && strcmp(builtin, "bytea") == 0) ||
                    (declared == LEAT_BOOL && strcmp(builtin, "bool") == 0);
    return (struct leat_form){0};
}

static uint32_t
flags_of(enum leat_rule rule, bool is_not_null, const char *initial, bool is_made)
{
    bool has_default = is_made || (initial != NULL && !leat_pg_default_is_null(initial));
    bool is_neutral = !has_default || rule == LEAT_SET || rule == LEAT_KEY ||
                      ((rule == LEAT_SUM || rule == LEAT_COUNT) && initial != NULL &&
                       leat_pg_default_is_zero(initial));

    return (is_not_null ? LEAT_FORM_NOT_NULL : 0u) | (is_neutral ? 0u : LEAT_FORM_DEFAULT) |
           (is_not_null && !has_default && rule != LEAT_KEY ? LEAT_FORM_NEEDED : 0u);
}

/* ---- what cannot be merged ----------------------------------------------------------------------- */

/* Are values of this column compared, or added up, or do they decide over those of another one? */
static bool
is_weighed(const struct leat_table *table, const struct leat_column *column)
{
    switch (column->rule) {
    case LEAT_SUM:
    case LEAT_COUNT:
    case LEAT_MIN:
    case LEAT_MAX:
    case LEAT_FIRST:
    case LEAT_LAST:
        return true;
    default:
        break;
    }
    for (const struct leat_column *other = table->columns; other->name != NULL; other++) {
        if (other->order_by != NULL && strcmp(other->order_by, column->name) == 0)
            return true;
    }
    return false;
}

/*
 * A column that spells values in its own way (an interval, an address, an enumeration) orders them in its own way: what the least
 * of two is would depend on whether they met here or there.
 */
static void
check_columns(const char *name, const struct leat_table *table, struct leat_pg_facts *facts,
              struct leat_pg_table_facts *known)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    for (size_t c = 0; table->columns[c].name != NULL && known->refusal == NULL; c++) {
        if (!known->columns[c].is_foreign || !is_weighed(table, &table->columns[c]))
            continue;
        leat_buf_printf(&text, LEAT_PG_TYPE_DIFFERS, name, table->columns[c].name,
                        known->columns[c].text, leat_pg_type_name(table->columns[c].type));
        known->refusal = leat_arena_strdup(&facts->arena, leat_buf_text(&text));
    }
}

/* ---- reading ----------------------------------------------------------------------------------- */

static bool
is_true(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] != 0;
}

static const struct leat_column *
find_column(const struct leat_table *table, const char *name, size_t *ret_index)
{
    for (size_t c = 0; table->columns[c].name != NULL; c++) {
        if (strcmp(table->columns[c].name, name) == 0) {
            *ret_index = c;
            return &table->columns[c];
        }
    }
    return NULL;
}

static void
add_row(struct leat_pg_facts *facts, struct leat_pg_table_facts *known,
        const struct leat_table *table, const PGresult *result, int row)
{
    const char *name = PQgetvalue(result, row, COLUMN_NAME);
    size_t c;
    const struct leat_column *column = find_column(table, name, &c);
    bool is_known;

    if (column == NULL) {
        if (!is_true(result, row, COLUMN_MADE) && is_true(result, row, COLUMN_OURS))
            known->others[known->other_count++] = leat_arena_strdup(&facts->arena, name);
        return;
    }
    known->columns[c].type = leat_arena_strdup(&facts->arena, PQgetvalue(result, row, COLUMN_TYPE));
    known->columns[c].builtin =
        leat_arena_strdup(&facts->arena, PQgetvalue(result, row, COLUMN_BUILTIN));
    known->columns[c].equals =
        leat_arena_strdup(&facts->arena, PQgetvalue(result, row, COLUMN_EQUALS));
    known->columns[c].form = form_of(column->type, PQgetvalue(result, row, COLUMN_BUILTIN),
                                     leat_pg_int4(PQgetvalue(result, row, COLUMN_MODIFIER)),
                                     &is_known);
    known->columns[c].text = leat_arena_strdup(&facts->arena, PQgetvalue(result, row, COLUMN_TEXT));
    known->columns[c].is_foreign = !is_known &&
                                   !leat_pg_type_takes(column->type, known->columns[c].text);
    known->columns[c].form.flags = flags_of(
        column->rule, is_true(result, row, COLUMN_NOT_NULL),
        PQgetisnull(result, row, COLUMN_INITIAL) ? NULL : PQgetvalue(result, row, COLUMN_INITIAL),
        is_true(result, row, COLUMN_MADE));
    if (column->rule == LEAT_KEY && (!is_known || is_true(result, row, COLUMN_FOLDING)))
        known->may_equal = true;
}

static int
read_print(struct leat_pg_connection *connection, const char *name, const char *print_sql,
           struct leat_buf *out, struct leat_error *err)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_buf_printf(&sql, "SELECT %s", print_sql);
    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, name);
    status = leat_pg_execute(connection, leat_buf_text(&sql), &parameters, &result, err);
    if (status != 0)
        return status;
    leat_buf_add_text(out, PQgetvalue(result, 0, 0));
    PQclear(result);
    return 0;
}

static int
make_print(struct leat_pg_connection *connection, const char *name, struct leat_pg_facts *facts,
           struct leat_pg_table_facts *known, struct leat_error *err)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    LEAT_AUTO_BUF print = LEAT_BUF_INIT;
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, name);
    status = leat_pg_execute(connection, kind_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    leat_buf_printf(&sql, PRINT_BEGIN "%s",
                    is_true(result, 0, 0) ? PRINT_PARTITIONS : PRINT_TRIGGERS);
    if (!PQgetisnull(result, 0, 1))
        leat_buf_printf(&sql, PRINT_DOMAINS "('%s'::oid[]))", PQgetvalue(result, 0, 1));
    leat_buf_add_text(&sql, ")");
    PQclear(result);
    known->print_sql = leat_arena_strdup(&facts->arena, leat_buf_text(&sql));
    status = read_print(connection, name, known->print_sql, &print, err);
    known->print = leat_arena_strdup(&facts->arena, leat_buf_text(&print));
    return status;
}

int
leat_pg_facts_check(struct leat_pg_connection *connection, const char *name,
                    const struct leat_pg_table_facts *facts, bool *ret_is_same,
                    struct leat_error *err)
{
    LEAT_AUTO_BUF print = LEAT_BUF_INIT;
    int status = read_print(connection, name, facts->print_sql, &print, err);

    if (status == 0)
        *ret_is_same = strcmp(leat_buf_text(&print), facts->print) == 0;
    return status;
}

static int
read_table(struct leat_pg_connection *connection, const char *name, const struct leat_table *table,
           struct leat_pg_facts *facts, struct leat_pg_table_facts *known, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status = make_print(connection, name, facts, known, err);

    if (status != 0)
        return status;
    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, name);
    status = leat_pg_execute(connection, facts_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    known->is_known = PQntuples(result) > 0;
    known->columns =
        leat_arena_alloc_zero(&facts->arena, leat_table_width(table), sizeof *known->columns);
    known->others =
        leat_arena_alloc_zero(&facts->arena, (size_t)PQntuples(result) + 1, sizeof *known->others);
    for (int row = 0; row < PQntuples(result); row++)
        add_row(facts, known, table, result, row);
    PQclear(result);
    if (!known->is_known)
        return 0;
    status = leat_pg_execute(connection, triggers_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    known->may_equal |= is_true(result, 0, 0);
    PQclear(result);
    check_columns(name, table, facts, known);
    return 0;
}

int
leat_pg_facts_read(struct leat_pg_connection *connection, const struct leat_pg_names *names,
                   const struct leat_table *tables, struct leat_pg_facts **ret_facts,
                   struct leat_error *err)
{
    struct leat_pg_facts *facts = LEAT_NEW(struct leat_pg_facts);
    int status = 0;

    leat_arena_init(&facts->arena);
    while (tables != NULL && tables[facts->table_count].name != NULL)
        facts->table_count++;
    facts->tables =
        leat_arena_alloc_zero(&facts->arena, facts->table_count + 1, sizeof *facts->tables);
    for (size_t t = 0; t < facts->table_count && status == 0; t++) {
        LEAT_AUTO_BUF name = LEAT_BUF_INIT;

        leat_pg_table_name(names, tables[t].name, &name);
        status =
            read_table(connection, leat_buf_text(&name), &tables[t], facts, &facts->tables[t], err);
    }
    if (status != 0)
        leat_pg_facts_free(facts);
    else
        *ret_facts = facts;
    return status;
}

void
leat_pg_facts_free(struct leat_pg_facts *facts)
{
    if (facts == NULL)
        return;
    leat_arena_release(&facts->arena);
    free(facts);
}

bool
leat_pg_facts_are_same(const struct leat_pg_facts *a, const struct leat_pg_facts *b,
                       const struct leat_table *tables, const bool *equals)
{
    for (size_t t = 0; t < a->table_count; t++) {
        const struct leat_pg_table_facts *x = &a->tables[t], *y = &b->tables[t];

        if (x->is_known != y->is_known || (!equals[t] && x->may_equal != y->may_equal))
            return false;
        for (size_t c = 0; c < leat_table_width(&tables[t]); c++) {
            if (memcmp(&x->columns[c].form, &y->columns[c].form, sizeof x->columns[c].form) != 0)
                return false;
        }
    }
    return true;
}

const struct leat_pg_table_facts *
leat_pg_facts_of(const struct leat_pg_facts *facts, size_t table)
{
    if (facts == NULL || table >= facts->table_count || !facts->tables[table].is_known)
        return NULL;
    return &facts->tables[table];
}

const char *
leat_pg_facts_refusal(const struct leat_pg_facts *facts, const struct leat_flush *flush)
{
    for (size_t g = 0; g < flush->group_count; g++) {
        const struct leat_pg_table_facts *known =
            leat_pg_facts_of(facts, flush->groups[g].table_index);

        if (known != NULL && known->refusal != NULL)
            return known->refusal;
    }
    return NULL;
}
