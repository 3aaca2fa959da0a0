/* From options to fields, columns and a table. Everything that can be wrong is said here, before the first event. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/units.h"
#include "rollup.h"

#define DAY_US (INT64_C(86400) * 1000000)

/* table */
const struct leat_option leat_rollup_options[] = {
    {"keys", LEAT_OPTION_LIST, 0, "device_id:int64", NULL, 0, 0,
     "members that make the key, as name or name:type (text, int64, decimal, timestamp, bool)"},
    {"measurement", LEAT_OPTION_TEXT, 0, "measurement", NULL, 0, 0,
     "the member that names what was measured; empty: there is none"},
    {"time", LEAT_OPTION_TEXT, 0, "time", NULL, 0, 0, "the member with the time of the event"},
    {"time_format", LEAT_OPTION_TEXT, 0, "iso8601", NULL, 0, 0,
     "iso8601, epoch_s, epoch_ms, or like strptime: %d/%m/%Y %H:%M; UTC where no zone is given"},
    {"value", LEAT_OPTION_TEXT, 0, "value", NULL, 0, 0, "the member with the number"},
    {"window", LEAT_OPTION_DURATION, 0, "1m", NULL, 1, 366 * DAY_US,
     "the length of a window; windows are counted from 1970-01-01 UTC"},
    {"table", LEAT_OPTION_TEXT, 0, "rollup", NULL, 0, 0, "the name of the table"},
    LEAT_END,
};

static const struct {
    const char *word;
    enum leat_type type;
} types[] = {{"text", LEAT_TEXT},
             {"int64", LEAT_INT64},
             {"decimal", LEAT_DECIMAL},
             {"timestamp", LEAT_TIMESTAMP},
             {"bool", LEAT_BOOL}};

static int
find_type(const char *item, const char *word, enum leat_type *ret_type, struct leat_error *err)
{
    const char *words[LEAT_COUNT_OF(types) + 1] = {NULL};
    const char *nearest;

    for (size_t i = 0; i < LEAT_COUNT_OF(types); i++) {
        words[i] = types[i].word;
        if (strcmp(types[i].word, word) == 0) {
            *ret_type = types[i].type;
            return 0;
        }
    }
    nearest = leat_did_you_mean(word, words);
    return leat_error_set(err, LEAT_E_INVALID,
                          "option \"keys\": \"%.80s\" has no type that there is%s%s%s", item,
                          nearest != NULL ? ", did you mean \"" : "",
                          nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
}

/* The index of the field; the same name in two roles is looked for once. */
static size_t
add_field(struct leat_rollup *rollup, const char *name)
{
    struct leat_slice slice = leat_slice_from(name);

    for (size_t i = 0; i < rollup->field_count; i++) {
        if (leat_slice_equals(rollup->fields[i], slice))
            return i;
    }
    rollup->fields[rollup->field_count] = slice;
    return rollup->field_count++;
}

static int
check_name(const char *option, const char *name, size_t maximum, struct leat_error *err)
{
    size_t size = strlen(name);

    if (size > 0 && size <= maximum)
        return 0;
    return leat_error_set(err, LEAT_E_INVALID, "option \"%s\": a name has 1 to %zu bytes", option,
                          maximum);
}

static struct leat_column *
add_column(struct leat_rollup *rollup, const char *name, enum leat_type type, enum leat_rule rule,
           const char *text)
{
    struct leat_column *column = rollup->columns;

    while (column->name != NULL)
        column++;
    *column = (struct leat_column){.name = name, .type = type, .rule = rule, .text = text};
    return column;
}

static int
add_key_column(struct leat_rollup *rollup, const char *option, const char *name,
               enum leat_type type, struct leat_error *err)
{
    static const char *const others[] = {"window_start", "count",     "sum", "min",
                                         "max",          "last_time", "last"};
    int status = check_name(option, name, 63, err);

    for (const struct leat_column *column = rollup->columns; status == 0 && column->name != NULL;
         column++) {
        if (strcmp(column->name, name) == 0)
            status = leat_error_set(err, LEAT_E_INVALID, "option \"%s\": \"%s\" is a key already",
                                    option, name);
    }
    for (size_t i = 0; status == 0 && i < LEAT_COUNT_OF(others); i++) {
        if (strcmp(others[i], name) == 0)
            status = leat_error_set(err, LEAT_E_INVALID,
                                    "option \"%s\": the table has a column \"%s\" of its own",
                                    option, name);
    }
    if (status != 0)
        return status;
    add_column(rollup, name, type, LEAT_KEY, NULL);
    rollup->keys[rollup->key_count].field = add_field(rollup, name);
    rollup->keys[rollup->key_count++].type = type;
    return 0;
}

/* name or name:type; what stands behind the last colon is a type. */
static int
add_key(struct leat_rollup *rollup, struct leat_slice item, struct leat_error *err)
{
    char *name = leat_arena_printf(&rollup->arena, "%.*s", (int)item.size, item.data);
    char *colon = strrchr(name, ':');
    enum leat_type type = LEAT_TEXT;
    int status = 0;

    if (colon != NULL) {
        status = find_type(leat_arena_strdup(&rollup->arena, name), colon + 1, &type, err);
        *colon = '\0';
    }
    return status == 0 ? add_key_column(rollup, "keys", name, type, err) : status;
}

static const char *
text_of(struct leat_rollup *rollup, const struct leat_options *options, const char *name)
{
    struct leat_slice text = leat_option_get(options, name)->text;

    return leat_arena_printf(&rollup->arena, "%.*s", (int)text.size, text.data);
}

static int
set_keys(struct leat_rollup *rollup, const struct leat_options *options, struct leat_error *err)
{
    const struct leat_option_value *keys = leat_option_get(options, "keys");
    const char *measurement = text_of(rollup, options, "measurement");
    int status = 0;

    if (keys->list_count > LEAT_ROLLUP_KEYS)
        return leat_error_set(err, LEAT_E_LIMIT, "option \"keys\": at most %d are possible",
                              LEAT_ROLLUP_KEYS);
    for (size_t i = 0; i < keys->list_count && status == 0; i++)
        status = add_key(rollup, keys->list[i], err);
    if (status == 0 && *measurement != '\0')
        status = add_key_column(rollup, "measurement", measurement, LEAT_TEXT, err);
    return status;
}

static int
set_field(struct leat_rollup *rollup, const struct leat_options *options, const char *option,
          size_t *ret_field, struct leat_error *err)
{
    const char *name = text_of(rollup, options, option);
    int status = check_name(option, name, LEAT_ROLLUP_NAME_BYTES, err);

    if (status == 0)
        *ret_field = add_field(rollup, name);
    return status;
}

static int
set_time_format(struct leat_rollup *rollup, const struct leat_options *options,
                struct leat_error *err)
{
    const char *format = text_of(rollup, options, "time_format");

    rollup->time_format = format;
    if (*format == '\0' || strcmp(format, "iso8601") == 0) {
        rollup->time = LEAT_ROLLUP_ISO;
    } else if (strcmp(format, "epoch_s") == 0) {
        rollup->time = LEAT_ROLLUP_EPOCH_S;
    } else if (strcmp(format, "epoch_ms") == 0) {
        rollup->time = LEAT_ROLLUP_EPOCH_MS;
    } else {
        rollup->time = LEAT_ROLLUP_FORMAT;
        if (strchr(format, '%') == NULL)
            return leat_error_set(err, LEAT_E_INVALID,
                                  "option \"time_format\": \"%.80s\" is neither iso8601, epoch_s, "
                                  "epoch_ms nor a format with %%",
                                  format);
        for (const char *next = format; (next = strchr(next, '%')) != NULL; next += 2) {
            if (next[1] == '\0' || strchr("YmdHMSfzbyjseTF%", next[1]) == NULL)
                return leat_error_set(err, LEAT_E_INVALID,
                                      "option \"time_format\": there is no %%%c (there are %%Y %%m "
                                      "%%d %%H %%M %%S %%f %%z %%b %%y %%j %%s %%e %%T %%F %%%%)",
                                      next[1] == '\0' ? ' ' : next[1]);
        }
    }
    return 0;
}

static int
set_table(struct leat_rollup *rollup, const struct leat_options *options, struct leat_error *err)
{
    const char *name = text_of(rollup, options, "table");

    add_column(rollup, "window_start", LEAT_TIMESTAMP, LEAT_KEY, "when the window begins");
    add_column(rollup, "count", LEAT_INT64, LEAT_SUM, "events in the window");
    add_column(rollup, "sum", LEAT_DECIMAL, LEAT_SUM, "exact");
    add_column(rollup, "min", LEAT_DECIMAL, LEAT_MIN, NULL);
    add_column(rollup, "max", LEAT_DECIMAL, LEAT_MAX, NULL);
    add_column(rollup, "last_time", LEAT_TIMESTAMP, LEAT_MAX, "the latest time of an event");
    add_column(rollup, "last", LEAT_DECIMAL, LEAT_LAST, "its value; of equal times the greatest")
        ->order_by = "last_time";
    rollup->tables[0] =
        (struct leat_table){.name = name, .columns = rollup->columns, .text = "per key and window"};
    return check_name("table", name, 63, err);
}

int
leat_rollup_new(const struct leat_options *options, struct leat_rollup **ret_rollup,
                struct leat_error *err)
{
    struct leat_rollup *rollup = LEAT_NEW(struct leat_rollup);
    int status;

    leat_arena_init(&rollup->arena);
    rollup->window_us = leat_option_get(options, "window")->integer;
    status = set_keys(rollup, options, err);
    if (status == 0)
        status = set_field(rollup, options, "time", &rollup->time_field, err);
    if (status == 0)
        status = set_field(rollup, options, "value", &rollup->value_field, err);
    if (status == 0)
        status = set_time_format(rollup, options, err);
    if (status == 0)
        status = set_table(rollup, options, err);
    if (status != 0) {
        leat_rollup_free(rollup);
        return status;
    }
    *ret_rollup = rollup;
    return 0;
}

void
leat_rollup_free(struct leat_rollup *rollup)
{
    if (rollup == NULL)
        return;
    leat_arena_release(&rollup->arena);
    free(rollup);
}
