/*
 * What became of streams: rows of leat.streams against what a service said of their names. Pure.
 *
 * A name that is told again with another creation time is another stream: the old one is gone, the new one is met like any
 * other, or stands still where the configuration wants that (leases.on_recreated: stop).
 */
#ifndef LEAT_LEASE_STREAM_PLAN_H
#define LEAT_LEASE_STREAM_PLAN_H

#include "stream/source.h"

enum leat_stream_state {
    LEAT_STREAM_ACTIVE = 0,
    LEAT_STREAM_GONE = 1,   /* deleted: nothing of it can be read any more */
    LEAT_STREAM_STOPPED = 2 /* made again, and not read because of it */
};

struct leat_stream_row {
    struct leat_source_facts facts;
    enum leat_stream_state state;
};

/* All of an application, as of one moment: whatever changes them moves the version. */
struct leat_stream_rows {
    struct leat_stream_row *rows; /* free() */
    size_t count;
    int64_t version;
};

/* facts NULL: there is no stream of that name. Names that nobody could tell anything of have no answer. */
struct leat_stream_answer {
    const char *name;
    const struct leat_source_facts *facts;
};

enum leat_stream_change_kind {
    LEAT_CHANGE_NEW = 0,
    LEAT_CHANGE_REMADE = 1, /* new, and there was another one of that name before */
    LEAT_CHANGE_GONE = 2,
    LEAT_CHANGE_BACK = 3,  /* the very stream that was thought gone, or stood still */
    LEAT_CHANGE_FACTS = 4, /* its retention was changed, or is known now */
};

struct leat_stream_change {
    enum leat_stream_change_kind kind;
    struct leat_stream_row row; /* as it is from now on */
    bool is_left;               /* it could not be stored now */
};

/* At most one answer per name. ret_changes has room for answers + rows. What is gone comes before what is new. */
size_t leat_stream_plan(const struct leat_stream_rows *rows,
                        const struct leat_stream_answer *answers, size_t answer_count,
                        bool stops_recreated, struct leat_stream_change *ret_changes);

#endif
