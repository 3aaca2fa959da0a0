/* The numbered migrations of schemas/, embedded at build time (tools/embed-schemas). */
#ifndef LEAT_POSTGRES_SCHEMAS_H
#define LEAT_POSTGRES_SCHEMAS_H

struct leat_schema {
    const char *role; /* "lease" or "target" */
    int version;      /* from 1, without gaps */
    const char *name;
    const char *sql;
};

extern const struct leat_schema leat_schemas[]; /* by role, then version; ends with role NULL */

#endif
