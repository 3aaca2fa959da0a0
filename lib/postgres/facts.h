/*
 * What pg_catalog says of the tables that are written: how their columns keep values (the forms of leat/target.h), the types that
 * values are cast to, and what a replace has to reset. Read at each connect, and again when a statement was refused for its
 * meaning (class 42): the tables may have been altered.
 *
 * A commit asks, behind its rows, whether a table is still what was read (its *print*): from the first row on nobody can alter it
 * until the transaction ends.
 */
#ifndef LEAT_POSTGRES_FACTS_H
#define LEAT_POSTGRES_FACTS_H

#include <leat/target.h>

#include "base/arena.h"
#include "postgres/connection.h"

struct leat_pg_names;

struct leat_pg_column_facts {
    const char *
        type; /* quoted, with its schema, of a domain: what it is made of; NULL: there is no such column */
    const char *builtin; /* its name where it lives in pg_catalog; "" else */
    const char *text;    /* the type as Postgres spells it */
    bool is_foreign; /* values are kept in ways that neither the declared type nor a form tells */
    const char *equals; /* "=", or the operator of a type that lives in another schema */
    struct leat_form form;
};

struct leat_pg_table_facts {
    bool is_known;         /* it is there */
    bool may_equal;        /* as in struct leat_table_forms */
    const char *refusal;   /* why no row is to be written to it; NULL: nothing is wrong */
    const char *print_sql; /* an expression: what the table's print is now; $1 is its name */
    const char *print;     /* as it was just before the rest was read */
    struct leat_pg_column_facts *columns;
    const char **
        others; /* columns that are not declared and may be written, but generated ones and identities */
    size_t other_count;
};

struct leat_pg_facts {
    struct leat_arena arena;
    struct leat_pg_table_facts *tables;
    size_t table_count;
};

/* tables: LEAT_END-ended. *ret is the caller's. */
int leat_pg_facts_read(struct leat_pg_connection *connection, const struct leat_pg_names *names,
                       const struct leat_table *tables, struct leat_pg_facts **ret_facts,
                       struct leat_error *err);
void leat_pg_facts_free(struct leat_pg_facts *facts);
/* Of table number N; NULL: nothing is known. */
const struct leat_pg_table_facts *leat_pg_facts_of(const struct leat_pg_facts *facts, size_t table);

/* Do they say the same of how values are kept? equals: by table, its keys may be equal whatever the facts say. */
bool leat_pg_facts_are_same(const struct leat_pg_facts *a, const struct leat_pg_facts *b,
                            const struct leat_table *tables, const bool *equals);
/* Why rows of this flush are not to be written, whatever they hold; NULL: they may. */
const char *leat_pg_facts_refusal(const struct leat_pg_facts *facts,
                                  const struct leat_flush *flush);
/* Is the table still as it was when its facts were read? */
int leat_pg_facts_check(struct leat_pg_connection *connection, const char *name,
                        const struct leat_pg_table_facts *facts, bool *ret_is_same,
                        struct leat_error *err);

/* Is a default expression, as Postgres prints it, null, or nought? Pure. */
bool leat_pg_default_is_null(const char *expression);
bool leat_pg_default_is_zero(const char *expression);

#endif
