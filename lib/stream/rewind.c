/* See rewind.h. */
#include "stream/rewind.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

const char *const leat_rewind_direction_names[] = {"same", "back", "forward", "back or forward"};

static int
parse_time(const char *text, int64_t now_us, struct leat_position *position, struct leat_error *err)
{
    if (!leat_parse_moment(leat_slice_from(text), now_us, &position->timestamp_us))
        return leat_error_set(
            err, LEAT_E_INVALID,
            "\"%s\" is no time: write it as time=2026-11-26T03:00:00Z (UTC where no "
            "zone is said), or as time=-2h, which is two hours ago",
            text);
    position->kind = LEAT_POSITION_AT_TIMESTAMP;
    return 0;
}

static int
parse_sequence(const char *text, struct leat_position *position, struct leat_error *err)
{
    size_t length = strlen(text);

    if (length == 0 || length > LEAT_SEQUENCE_BYTES || strspn(text, "0123456789") != length ||
        (length > 1 && text[0] == '0'))
        return leat_error_set(
            err, LEAT_E_INVALID,
            "\"%s\" is no sequence number: up to %d digits, as leat shards and leat "
            "failures show them",
            text, LEAT_SEQUENCE_BYTES);
    position->kind = LEAT_POSITION_SEQUENCE;
    snprintf(position->sequence, sizeof position->sequence, "%s", text);
    return 0;
}

int
leat_rewind_parse(const char *text, int64_t now_us, struct leat_position *ret_position,
                  struct leat_error *err)
{
    static const char *const words[] = {"trim-horizon", "latest", NULL};
    struct leat_position position = {.kind = LEAT_POSITION_TRIM_HORIZON, .sub_sequence = -1};
    const char *nearest;
    int status = 0;

    if (strcmp(text, "latest") == 0) {
        position.kind = LEAT_POSITION_LATEST;
    } else if (strncmp(text, "time=", 5) == 0) {
        status = parse_time(text + 5, now_us, &position, err);
    } else if (strncmp(text, "seq=", 4) == 0) {
        status = parse_sequence(text + 4, &position, err);
    } else if (strcmp(text, "trim-horizon") != 0) {
        nearest = leat_did_you_mean(text, words);
        status = leat_error_set(err, LEAT_E_INVALID,
                                "--to cannot be \"%s\"%s%s%s; it may be trim-horizon, latest, "
                                "time=2026-11-26T03:00:00Z, time=-2h or seq=NUMBER",
                                text, nearest != NULL ? ", did you mean \"" : "",
                                nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    }
    if (status == 0)
        *ret_position = position;
    return status;
}

static enum leat_rewind_direction
direction_of(int order)
{
    return order < 0 ? LEAT_REWIND_FORWARD : order > 0 ? LEAT_REWIND_BACK : LEAT_REWIND_SAME;
}

/* How `from` stands to `to`, of the same kind. */
static int
order(const struct leat_position *from, const struct leat_position *to)
{
    int by_sequence;

    if (from->kind == LEAT_POSITION_AT_TIMESTAMP)
        return (from->timestamp_us > to->timestamp_us) - (from->timestamp_us < to->timestamp_us);
    by_sequence =
        leat_sequence_order(leat_slice_from(from->sequence), leat_slice_from(to->sequence));
    /* Inside of an aggregate: less is done than with all of it. */
    return by_sequence != 0 ? by_sequence : -(from->sub_sequence >= 0);
}

enum leat_rewind_direction
leat_rewind_direction(const struct leat_position *from, const struct leat_position *to,
                      bool is_latest)
{
    if (from->kind == LEAT_POSITION_SHARD_END)
        return LEAT_REWIND_BACK;
    if (from->kind == LEAT_POSITION_TRIM_HORIZON || to->kind == LEAT_POSITION_TRIM_HORIZON)
        return direction_of((from->kind != LEAT_POSITION_TRIM_HORIZON) -
                            (to->kind != LEAT_POSITION_TRIM_HORIZON));
    if (is_latest)
        return LEAT_REWIND_FORWARD;
    return from->kind == to->kind ? direction_of(order(from, to)) : LEAT_REWIND_EITHER;
}
