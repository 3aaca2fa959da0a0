/*
 * May a NOTIFY be sent now? It only makes others look sooner; each one locks the server's whole queue at its commit. So at most
 * ten in any second by one worker, and none above a hundred workers, who would all wake each other. One that was held back is
 * owed, and sent when there is room again.
 *
 * Threads: any. The time is an argument.
 */
#ifndef LEAT_LEASE_NOTIFY_H
#define LEAT_LEASE_NOTIFY_H

#include "base/thread.h"

#define LEAT_NOTIFY_PER_SECOND 10
#define LEAT_NOTIFY_WORKERS 100

struct leat_notify {
    _Atomic bool is_wanted;
    _Atomic size_t workers; /* alive, as far as known */
    struct leat_mutex lock;
    int64_t sent_us[LEAT_NOTIFY_PER_SECOND] LEAT_FIELD_GUARDED_BY(lock); /* a ring */
    size_t next LEAT_FIELD_GUARDED_BY(lock);
    bool is_owed LEAT_FIELD_GUARDED_BY(lock);
};

void leat_notify_init(struct leat_notify *notify, bool is_wanted);
void leat_notify_release(struct leat_notify *notify);
/* True: it counts as sent. False: not wanted, too many workers, or it is owed from now. */
bool leat_notify_may(struct leat_notify *notify, int64_t now_us);
/* One that was owed may be sent now; it counts as sent. */
bool leat_notify_may_owed(struct leat_notify *notify, int64_t now_us);

#endif
