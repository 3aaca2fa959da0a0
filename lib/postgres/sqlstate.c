/* The classes of docs/protocol.md §4, by prefix; single states first. */
#include "postgres/sqlstate.h"

#include <string.h>

#include "base/memory.h"

static const struct {
    const char *prefix;
    enum leat_sqlstate_class class;
} rules[] = {
    {"LT001", LEAT_SQLSTATE_FENCED},    {"55P03", LEAT_SQLSTATE_TRANSIENT},
    {"55006", LEAT_SQLSTATE_TRANSIENT}, {LEAT_SQLSTATE_READ_ONLY, LEAT_SQLSTATE_TRANSIENT},
    {"25P03", LEAT_SQLSTATE_TRANSIENT}, {"P0001", LEAT_SQLSTATE_DATA},
    {"08", LEAT_SQLSTATE_TRANSIENT},    {"40", LEAT_SQLSTATE_TRANSIENT},
    {"53", LEAT_SQLSTATE_TRANSIENT},    {"57", LEAT_SQLSTATE_TRANSIENT},
    {"58", LEAT_SQLSTATE_TRANSIENT},    {"22", LEAT_SQLSTATE_DATA},
    {"23", LEAT_SQLSTATE_DATA},         {"44", LEAT_SQLSTATE_DATA},
};

enum leat_sqlstate_class
leat_sqlstate_classify(const char *sqlstate)
{
    if (sqlstate == NULL || *sqlstate == '\0')
        return LEAT_SQLSTATE_TRANSIENT;
    for (size_t i = 0; i < LEAT_COUNT_OF(rules); i++) {
        if (strncmp(sqlstate, rules[i].prefix, strlen(rules[i].prefix)) == 0)
            return rules[i].class;
    }
    return LEAT_SQLSTATE_CONFIGURATION;
}

bool
leat_sqlstate_is_collision(const char *sqlstate)
{
    return sqlstate != NULL && (strcmp(sqlstate, "40P01") == 0 || strcmp(sqlstate, "40001") == 0);
}
