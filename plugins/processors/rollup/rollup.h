/* What the options of one configured rollup become, and how the members of an event become values. */
#ifndef LEAT_ROLLUP_H
#define LEAT_ROLLUP_H

#include <leat/processor.h>

#include "base/arena.h"
#include "scan.h"

#define LEAT_ROLLUP_KEYS 16
#define LEAT_ROLLUP_FIELDS (LEAT_ROLLUP_KEYS + 3)
/* keys, measurement, window_start, count, sum, min, max, last_time, last */
#define LEAT_ROLLUP_COLUMNS (LEAT_ROLLUP_KEYS + 8)
/* A key has to fit into one entry of a target's index (Postgres: 2,704 bytes). */
#define LEAT_ROLLUP_KEY_BYTES 2000
#define LEAT_ROLLUP_MINIMUM_US INT64_C(-62135596800000000) /* 0001-01-01 */

enum leat_rollup_time {
    LEAT_ROLLUP_ISO = 0,
    LEAT_ROLLUP_FORMAT, /* strptime-like */
    LEAT_ROLLUP_EPOCH_S,
    LEAT_ROLLUP_EPOCH_MS
};

/* Read-only after open: shared by all threads. */
struct leat_rollup {
    struct leat_arena arena;
    struct leat_slice fields[LEAT_ROLLUP_FIELDS]; /* members to look for, each once */
    size_t field_count;
    struct {
        size_t field;
        enum leat_type type;
    } keys[LEAT_ROLLUP_KEYS + 1]; /* the measurement is the last, where there is one */
    size_t key_count;
    size_t time_field, value_field;
    enum leat_rollup_time time;
    const char *time_format;
    int64_t window_us;
    struct leat_column columns[LEAT_ROLLUP_COLUMNS + 1];
    struct leat_table tables[2];
};

extern const struct leat_option leat_rollup_options[];
int leat_rollup_new(const struct leat_options *options, struct leat_rollup **ret_rollup,
                    struct leat_error *err);
void leat_rollup_free(struct leat_rollup *rollup);

/* An event under way. The values borrow from the record, or from `scratch` where escapes had to be resolved. */
struct leat_rollup_event {
    const struct leat_rollup *rollup;
    const struct leat_record *record;
    struct leat_out *out;
    struct leat_rollup_value fields[LEAT_ROLLUP_FIELDS];
    unsigned char scratch[4096];
    size_t scratch_used;
};

/* Each of these is false after it has failed the record. */
bool leat_rollup_key(struct leat_rollup_event *event, size_t field, enum leat_type type,
                     struct leat_value *ret_value);
bool leat_rollup_moment(struct leat_rollup_event *event, size_t field, int64_t *ret_us);
bool leat_rollup_number(struct leat_rollup_event *event, size_t field,
                        struct leat_slice *ret_number);

#endif
