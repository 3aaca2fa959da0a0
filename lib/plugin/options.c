/* From what was written to typed values. Every problem is told; what is good is resolved all the same. Pure. */
#include "plugin/options.h"

#include "base/memory.h"
#include "base/units.h"

struct resolving {
    struct leat_arena *arena;
    leat_option_report_fn report;
    void *context;
    bool is_bad;
};

static void problem(struct resolving *resolving, const struct leat_raw_option *given,
                    const char *format, ...) LEAT_PRINTF(3, 4);

static void
problem(struct resolving *resolving, const struct leat_raw_option *given, const char *format, ...)
{
    char text[LEAT_ERROR_TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    resolving->is_bad = true;
    resolving->report(resolving->context, given != NULL ? given->line : 0,
                      given != NULL ? given->column : 0, text);
}

static int
parse_choice(const struct leat_option *option, struct leat_slice text, int64_t *ret_index,
             struct leat_error *err)
{
    LEAT_AUTO_FREE char *word = leat_slice_strdup(text);
    const char *nearest;

    for (int64_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], word) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    nearest = leat_did_you_mean(word, option->choices);
    return leat_error_set(err, LEAT_E_INVALID, "there is no choice \"%.80s\"%s%s%s", word,
                          nearest != NULL ? ", did you mean \"" : "",
                          nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
}

static int
parse_number(const struct leat_option *option, struct leat_slice text, int64_t *ret_number,
             struct leat_error *err)
{
    bool is_true = false;
    int status;

    switch (option->type) {
    case LEAT_OPTION_INTEGER:
        return leat_parse_integer(text, ret_number, err);
    case LEAT_OPTION_DURATION:
        return leat_parse_duration(text, ret_number, err);
    case LEAT_OPTION_SIZE:
        return leat_parse_size(text, ret_number, err);
    case LEAT_OPTION_CHOICE:
        return parse_choice(option, text, ret_number, err);
    case LEAT_OPTION_BOOLEAN:
        status = leat_parse_boolean(text, &is_true, err);
        if (status == 0)
            *ret_number = is_true;
        return status;
    default:
        return 0;
    }
}

/* A bound as the user would write it. */
static void
add_bound(const struct leat_option *option, int64_t bound, struct leat_buf *out)
{
    if (option->type == LEAT_OPTION_DURATION)
        leat_format_duration(out, bound);
    else if (option->type == LEAT_OPTION_SIZE)
        leat_format_size(out, bound);
    else
        leat_buf_printf(out, "%lld", (long long)bound);
}

static void
check_range(struct resolving *resolving, const struct leat_option *option,
            const struct leat_raw_option *given, const struct leat_option_value *value)
{
    LEAT_AUTO_BUF range = LEAT_BUF_INIT;

    if ((option->minimum == 0 && option->maximum == 0) || option->type == LEAT_OPTION_TEXT ||
        (value->integer >= option->minimum && value->integer <= option->maximum))
        return;
    add_bound(option, option->minimum, &range);
    leat_buf_add_text(&range, " to ");
    add_bound(option, option->maximum, &range);
    problem(resolving, given, "option \"%s\": \"%.80s\" is out of range (%s)", option->name,
            (const char *)value->text.data, leat_buf_text(&range));
}

static void
resolve_scalar(struct resolving *resolving, const struct leat_option *option,
               const struct leat_raw_option *given, struct leat_slice text,
               struct leat_option_value *value)
{
    struct leat_error err;

    value->text = leat_arena_copy(resolving->arena, text);
    if (parse_number(option, text, &value->integer, &err) != 0) {
        problem(resolving, given, "option \"%s\": %s", option->name, err.text);
        return;
    }
    check_range(resolving, option, given, value);
}

static void
copy_list(struct resolving *resolving, const struct leat_slice *items, size_t count,
          struct leat_option_value *value)
{
    struct leat_slice *list = leat_arena_alloc(resolving->arena, (count + 1) * sizeof *list);

    for (size_t i = 0; i < count; i++)
        list[i] = leat_arena_copy(resolving->arena, items[i]);
    value->list = list;
    value->list_count = count;
}

/* "a, b,c": a default as the user would write it. */
static void
split_list(struct resolving *resolving, const char *text, struct leat_option_value *value)
{
    struct leat_slice items[64];
    size_t count = 0;

    while (*text != '\0' && count < LEAT_COUNT_OF(items)) {
        size_t length;

        text += strspn(text, " ,");
        length = strcspn(text, ",");
        if (length > 0)
            items[count++] = leat_slice_make(text, length);
        text += length;
    }
    copy_list(resolving, items, count, value);
}

static bool
is_collection(const struct leat_option *option)
{
    return option->type == LEAT_OPTION_LIST || option->type == LEAT_OPTION_MAP;
}

static void
resolve_given(struct resolving *resolving, const struct leat_option *option,
              const struct leat_raw_option *given, struct leat_option_value *value)
{
    static const enum leat_raw_kind wanted[] = {
        [LEAT_OPTION_LIST] = LEAT_RAW_LIST, [LEAT_OPTION_MAP] = LEAT_RAW_MAP};
    static const char *const words[] = {"one value", "a list", "a map"};
    enum leat_raw_kind kind = is_collection(option) ? wanted[option->type] : LEAT_RAW_SCALAR;

    value->is_given = 1;
    /* One item needs no brackets. */
    if (kind == LEAT_RAW_LIST && given->kind == LEAT_RAW_SCALAR)
        copy_list(resolving, &given->scalar, 1, value);
    else if (kind != given->kind)
        problem(resolving, given, "option \"%s\" takes %s, not %s", option->name, words[kind],
                words[given->kind]);
    else if (is_collection(option))
        copy_list(resolving, given->items, given->item_count, value);
    else
        resolve_scalar(resolving, option, given, given->scalar, value);
}

static void
resolve_default(struct resolving *resolving, const struct leat_option *option,
                struct leat_option_value *value)
{
    value->text = leat_slice_from("");
    if (option->flags & LEAT_OPTION_REQUIRED)
        problem(resolving, NULL, "option \"%s\" is missing: %s", option->name,
                option->text != NULL ? option->text : "it is required");
    else if (is_collection(option))
        split_list(resolving, option->default_text != NULL ? option->default_text : "", value);
    else if (option->default_text != NULL)
        resolve_scalar(resolving, option, NULL, leat_slice_from(option->default_text), value);
}

static void
report_unknown(struct resolving *resolving, const struct leat_option *declared, size_t count,
               const struct leat_raw_option *given)
{
    const char **names = leat_alloc_zero(count + 1, sizeof *names);
    const char *nearest;

    for (size_t i = 0; i < count; i++)
        names[i] = declared[i].name;
    nearest = leat_did_you_mean(given->name, names);
    problem(resolving, given, "there is no option \"%.80s\"%s%s%s", given->name,
            nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "\"?" : "");
    leat_cleanup_free(&names);
}

static const struct leat_option *
find_declared(const struct leat_option *declared, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(declared[i].name, name) == 0)
            return &declared[i];
    }
    return NULL;
}

static const struct leat_raw_option *
find_given(const struct leat_raw_option *given, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(given[i].name, name) == 0)
            return &given[i];
    }
    return NULL;
}

int
leat_options_resolve(const struct leat_option *declared, const struct leat_raw_option *given,
                     size_t given_count, struct leat_arena *arena, leat_option_report_fn report,
                     void *context, struct leat_options *ret_options)
{
    struct resolving resolving = {arena, report, context, false};
    struct leat_option_value *values;
    size_t count = 0;

    while (declared != NULL && declared[count].name != NULL)
        count++;
    values = leat_arena_alloc_zero(arena, count + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const struct leat_raw_option *raw = find_given(given, given_count, declared[i].name);

        values[i].name = declared[i].name;
        values[i].type = declared[i].type;
        if (raw != NULL)
            resolve_given(&resolving, &declared[i], raw, &values[i]);
        else
            resolve_default(&resolving, &declared[i], &values[i]);
    }
    for (size_t i = 0; i < given_count; i++) {
        if (find_declared(declared, count, given[i].name) == NULL)
            report_unknown(&resolving, declared, count, &given[i]);
    }
    if (resolving.is_bad)
        return LEAT_E_INVALID;
    *ret_options = (struct leat_options){sizeof *ret_options, count, values};
    return 0;
}
