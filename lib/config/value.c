/* What a text means is decided by the property that it is for, never guessed: `no` is a text where a text is wanted. */
#include "config/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "base/memory.h"
#include "base/units.h"

#define SHOWN 80 /* bytes of a bad text, in the error */

static int
refuse(struct leat_error *err, struct leat_slice text, const char *reason)
{
    return leat_error_set(err, LEAT_E_INVALID, "\"%.*s\" %s",
                          text.size > SHOWN ? SHOWN : (int)text.size, (const char *)text.data,
                          reason);
}

static void *
place(const struct leat_property *property, void *base)
{
    return (char *)base + property->at;
}

static const void *
const_place(const struct leat_property *property, const void *base)
{
    return (const char *)base + property->at;
}

/* ---- numbers ------------------------------------------------------------------------------- */

/* Decimal digits with a point alone: no hex, no "inf". */
static bool
parse_real(struct leat_slice text, double *ret_number)
{
    LEAT_AUTO_FREE char *copy = leat_slice_strdup(text);
    char *end;

    if (text.size == 0 || text.size > 40 || strspn(copy, "0123456789.") != text.size)
        return false;
    *ret_number = strtod(copy, &end);
    return *end == '\0' && isfinite(*ret_number);
}

static bool
strip_suffix(struct leat_slice *text, const char *suffix)
{
    size_t size = strlen(suffix);

    if (text->size < size || memcmp(text->data + text->size - size, suffix, size) != 0)
        return false;
    text->size -= size;
    return true;
}

static int
parse_percent(struct leat_slice text, int64_t *ret_number, struct leat_error *err)
{
    struct leat_slice number = text;

    if (strip_suffix(&number, "%") || leat_slice_is(text, "0")) {
        if (leat_parse_integer(number, ret_number, err) == 0)
            return 0;
    }
    return refuse(err, text, "is no percentage: write it like 50%");
}

static int
parse_rate(const struct leat_property *property, struct leat_slice text, double *ret_rate,
           struct leat_error *err)
{
    struct leat_slice number = text;
    int64_t bytes;

    if (!strip_suffix(&number, "/s") && !leat_slice_is(text, "0"))
        return refuse(err, text,
                      property->type == LEAT_PROPERTY_RATE ? "is no rate: write it like 5/s"
                                                           : "is no rate: write it like 2MiB/s");
    if (property->type == LEAT_PROPERTY_RATE)
        return parse_real(number, ret_rate) ? 0
                                            : refuse(err, text, "is no rate: write it like 5/s");
    if (leat_parse_size(number, &bytes, err) != 0)
        return refuse(err, text, "is no rate: write it like 2MiB/s");
    *ret_rate = (double)bytes;
    return 0;
}

/* ---- ranges -------------------------------------------------------------------------------- */

static void
format_bound(const struct leat_property *property, int64_t bound, struct leat_buf *out)
{
    switch (property->type) {
    case LEAT_PROPERTY_DURATION:
    case LEAT_PROPERTY_SPAN:
        leat_format_duration(out, bound);
        break;
    case LEAT_PROPERTY_SIZE:
        leat_format_size(out, bound);
        break;
    case LEAT_PROPERTY_PERCENT:
        leat_buf_printf(out, "%" PRId64 "%%", bound);
        break;
    case LEAT_PROPERTY_RATE:
        leat_buf_printf(out, "%" PRId64 "/s", bound);
        break;
    case LEAT_PROPERTY_BYTE_RATE:
        leat_format_size(out, bound);
        leat_buf_add_text(out, "/s");
        break;
    default:
        leat_buf_printf(out, "%" PRId64, bound);
    }
}

void
leat_value_format_range(const struct leat_property *property, struct leat_buf *out)
{
    if (property->minimum == 0 && property->maximum == 0)
        return;
    if (property->maximum == INT64_MAX) {
        leat_buf_add_text(out, "at least ");
        format_bound(property, property->minimum, out);
        return;
    }
    if (property->type == LEAT_PROPERTY_TEXT && property->minimum <= 1) {
        leat_buf_printf(out, "at most %" PRId64 " bytes", property->maximum);
        return;
    }
    format_bound(property, property->minimum, out);
    if (property->maximum != property->minimum) {
        leat_buf_add_text(out, " to ");
        format_bound(property, property->maximum, out);
    }
    if (property->type == LEAT_PROPERTY_TEXT)
        leat_buf_add_text(out, " bytes");
}

static int
check_range(const struct leat_property *property, struct leat_slice text, double number,
            struct leat_error *err)
{
    LEAT_AUTO_BUF range = LEAT_BUF_INIT;

    if ((property->minimum == 0 && property->maximum == 0) ||
        (number >= (double)property->minimum && number <= (double)property->maximum))
        return 0;
    leat_value_format_range(property, &range);
    return leat_error_set(err, LEAT_E_INVALID, "\"%.*s\" is out of range: %s",
                          text.size > SHOWN ? SHOWN : (int)text.size, (const char *)text.data,
                          leat_buf_text(&range));
}

/* ---- by type ------------------------------------------------------------------------------- */

static int
parse_word(const struct leat_property *property, struct leat_slice text, size_t *ret_index,
           struct leat_error *err)
{
    LEAT_AUTO_FREE char *word = leat_slice_strdup(text);
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;
    const char *nearest;

    for (size_t i = 0; property->choices[i] != NULL; i++) {
        if (strcmp(property->choices[i], word) == 0) {
            *ret_index = i;
            return 0;
        }
        leat_buf_printf(&all, "%s%s", i > 0 ? ", " : "", property->choices[i]);
    }
    for (const char *const *later = property->later; later != NULL && *later != NULL; later++) {
        if (strcmp(*later, word) == 0)
            return leat_error_set(err, LEAT_E_INVALID,
                                  "\"%s\" is not there yet: this leat knows %s", word,
                                  leat_buf_text(&all));
    }
    nearest = leat_did_you_mean(word, property->choices);
    if (nearest != NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "there is no choice \"%.80s\", did you mean \"%s\"?", word, nearest);
    return leat_error_set(err, LEAT_E_INVALID, "there is no choice \"%.80s\": it is one of %s",
                          word, leat_buf_text(&all));
}

static int
parse_number(const struct leat_property *property, struct leat_slice text, int64_t *ret_number,
             struct leat_error *err)
{
    int64_t number = 0;
    int status;

    if ((property->flags & LEAT_PROPERTY_AUTO) && leat_slice_is(text, "auto")) {
        *ret_number = -1;
        return 0;
    }
    if (property->type == LEAT_PROPERTY_DURATION)
        status = leat_parse_duration(text, &number, err);
    else if (property->type == LEAT_PROPERTY_SIZE)
        status = leat_parse_size(text, &number, err);
    else if (property->type == LEAT_PROPERTY_PERCENT)
        status = parse_percent(text, &number, err);
    else
        status = leat_parse_integer(text, &number, err);
    if (status == 0)
        status = check_range(property, text, (double)number, err);
    if (status == 0)
        *ret_number = number;
    return status;
}

static int
parse_floating(const struct leat_property *property, struct leat_slice text, double *ret_number,
               struct leat_error *err)
{
    double number = 0;
    int status = 0;

    if (property->type == LEAT_PROPERTY_REAL) {
        if (!parse_real(text, &number))
            return refuse(err, text, "is no number");
    } else {
        status = parse_rate(property, text, &number, err);
    }
    if (status == 0)
        status = check_range(property, text, number, err);
    if (status == 0)
        *ret_number = number;
    return status;
}

static int
parse_span(const struct leat_property *property, struct leat_slice text, void *base,
           struct leat_error *err)
{
    const unsigned char *dots = memmem(text.data, text.size, "..", 2);
    int64_t begin, end;

    if (dots == NULL)
        return refuse(err, text, "is no pair: write it like 100ms..30s");
    if (leat_parse_duration(leat_slice_make(text.data, (size_t)(dots - text.data)), &begin, err) ||
        leat_parse_duration(leat_slice_make(dots + 2, text.size - (size_t)(dots + 2 - text.data)),
                            &end, err))
        return err->code;
    if (begin > end)
        return refuse(err, text, "ends before it begins");
    if (check_range(property, text, (double)begin, err) != 0 ||
        check_range(property, text, (double)end, err) != 0)
        return err->code;
    memcpy(place(property, base), &begin, sizeof begin);
    memcpy((char *)base + property->second_at, &end, sizeof end);
    return 0;
}

static int
parse_start(const struct leat_property *property, struct leat_slice text, void *base,
            struct leat_error *err)
{
    struct leat_start start = {LEAT_START_TIME, 0};

    if (text.size == 12 && strncasecmp((const char *)text.data, "trim_horizon", 12) == 0)
        start.kind = LEAT_START_TRIM_HORIZON;
    else if (text.size == 6 && strncasecmp((const char *)text.data, "latest", 6) == 0)
        start.kind = LEAT_START_LATEST;
    else if (!leat_parse_time(text, &start.time_us))
        return refuse(err, text,
                      "is no start: write trim_horizon, latest or a time like "
                      "2026-01-31T12:00:00Z");
    memcpy(place(property, base), &start, sizeof start);
    return 0;
}

/* Nothing written where nothing is the default: not set. */
static int
parse_text(const struct leat_property *property, struct leat_slice text, struct leat_arena *arena,
           void *base, struct leat_error *err)
{
    LEAT_AUTO_BUF range = LEAT_BUF_INIT;
    const char *copy = NULL;

    if (text.size == 0 && (property->flags & LEAT_PROPERTY_REQUIRED))
        return leat_error_set(err, LEAT_E_INVALID, "it is empty: %s", property->text);
    if (text.size > 0 || property->default_text != NULL) {
        if ((int64_t)text.size < property->minimum || (int64_t)text.size > property->maximum) {
            leat_value_format_range(property, &range);
            return leat_error_set(err, LEAT_E_INVALID, "its %zu bytes are out of range: %s",
                                  text.size, leat_buf_text(&range));
        }
        copy = (const char *)leat_arena_copy(arena, text).data;
    }
    memcpy(place(property, base), &copy, sizeof copy);
    return 0;
}

static int
parse_choice(const struct leat_property *property, struct leat_slice text, void *base,
             struct leat_error *err)
{
    size_t index = 0;
    int number, status = parse_word(property, text, &index, err);

    if (status != 0)
        return status;
    number = (int)index; /* the enums count as the words do */
    if (property->type == LEAT_PROPERTY_CHOICE)
        memcpy(place(property, base), &number, sizeof number);
    else
        memcpy(place(property, base), &property->choices[index], sizeof(char *));
    return 0;
}

int
leat_value_parse(const struct leat_property *property, struct leat_slice text,
                 struct leat_arena *arena, void *base, struct leat_error *err)
{
    switch (property->type) {
    case LEAT_PROPERTY_TEXT:
        return parse_text(property, text, arena, base, err);
    case LEAT_PROPERTY_WORD:
    case LEAT_PROPERTY_CHOICE:
        return parse_choice(property, text, base, err);
    case LEAT_PROPERTY_BOOLEAN:
        return leat_parse_boolean(text, place(property, base), err);
    case LEAT_PROPERTY_INTEGER:
    case LEAT_PROPERTY_DURATION:
    case LEAT_PROPERTY_SIZE:
    case LEAT_PROPERTY_PERCENT:
        return parse_number(property, text, place(property, base), err);
    case LEAT_PROPERTY_REAL:
    case LEAT_PROPERTY_RATE:
    case LEAT_PROPERTY_BYTE_RATE:
        return parse_floating(property, text, place(property, base), err);
    case LEAT_PROPERTY_SPAN:
        return parse_span(property, text, base, err);
    case LEAT_PROPERTY_START:
        return parse_start(property, text, base, err);
    default:
        LEAT_ASSERT(!"a scalar");
        return LEAT_E_INTERNAL;
    }
}

/* ---- and back ------------------------------------------------------------------------------ */

/* As few digits as read back as the same number. */
static void
format_real(double number, struct leat_buf *out)
{
    char text[40];

    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    if (strchr(text, 'e') != NULL)
        snprintf(text, sizeof text, "%.6f", number);
    leat_buf_add_text(out, text);
}

static void
format_start(struct leat_start start, struct leat_buf *out)
{
    if (start.kind == LEAT_START_TRIM_HORIZON)
        leat_buf_add_text(out, "trim_horizon");
    else if (start.kind == LEAT_START_LATEST)
        leat_buf_add_text(out, "latest");
    else
        leat_format_time(out, start.time_us);
}

static void
format_number(const struct leat_property *property, int64_t number, struct leat_buf *out)
{
    if (number == -1 && (property->flags & LEAT_PROPERTY_AUTO))
        leat_buf_add_text(out, "auto");
    else
        format_bound(property, number, out);
}

static void
format_floating(const struct leat_property *property, double number, struct leat_buf *out)
{
    if (property->type == LEAT_PROPERTY_BYTE_RATE)
        leat_format_size(out, (int64_t)number);
    else
        format_real(number, out);
    if (property->type != LEAT_PROPERTY_REAL)
        leat_buf_add_text(out, "/s");
}

bool
leat_value_format(const struct leat_property *property, const void *base, struct leat_buf *out)
{
    const void *at = const_place(property, base);

    switch (property->type) {
    case LEAT_PROPERTY_TEXT:
    case LEAT_PROPERTY_WORD:
        if (*(const char *const *)at == NULL)
            return false;
        return leat_buf_add_text(out, *(const char *const *)at);
    case LEAT_PROPERTY_CHOICE:
        return leat_buf_add_text(out, property->choices[*(const int *)at]);
    case LEAT_PROPERTY_BOOLEAN:
        return leat_buf_add_text(out, *(const bool *)at ? "true" : "false");
    case LEAT_PROPERTY_REAL:
    case LEAT_PROPERTY_RATE:
    case LEAT_PROPERTY_BYTE_RATE:
        format_floating(property, *(const double *)at, out);
        return true;
    case LEAT_PROPERTY_SPAN:
        leat_format_duration(out, *(const int64_t *)at);
        leat_buf_add_text(out, "..");
        leat_format_duration(
            out, *(const int64_t *)(const void *)((const char *)base + property->second_at));
        return true;
    case LEAT_PROPERTY_START:
        if (((const struct leat_start *)at)->kind == LEAT_START_UNSET)
            return false;
        format_start(*(const struct leat_start *)at, out);
        return true;
    default:
        format_number(property, *(const int64_t *)at, out);
        return true;
    }
}
