/* A checkpoint that an operator puts elsewhere: what he may say, and which way it goes. Pure. */
#ifndef LEAT_STREAM_REWIND_H
#define LEAT_STREAM_REWIND_H

#include "stream/position.h"

/*
 * "trim-horizon", "latest", "time=2026-11-26T03:00:00Z", "seq=49…": everything up to and including that sequence number counts as
 * done. INVALID: err says what may be said.
 */
int leat_rewind_parse(const char *text, int64_t now_us, struct leat_position *ret_position,
                      struct leat_error *err);

enum leat_rewind_direction {
    LEAT_REWIND_SAME = 0,    /* it is there already */
    LEAT_REWIND_BACK = 1,    /* what was committed comes again */
    LEAT_REWIND_FORWARD = 2, /* what was not is skipped */
    LEAT_REWIND_EITHER = 3   /* a time against a sequence number: the stream alone knows */
};
extern const char
    *const leat_rewind_direction_names[]; /* "same", "back", "forward", "back or forward" */
/* Of a shard that nothing was committed of, from is where it would begin. is_latest: `to` is the service's time of now. */
enum leat_rewind_direction leat_rewind_direction(const struct leat_position *from,
                                                 const struct leat_position *to, bool is_latest);

#endif
