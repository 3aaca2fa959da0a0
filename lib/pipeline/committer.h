/* The inside of a committer, shared by committer.c, committer_take.c and committer_count.c. */
#ifndef LEAT_PIPELINE_COMMITTER_H
#define LEAT_PIPELINE_COMMITTER_H

#include "pipeline/runtime.h"

struct leat_flight;
struct leat_audit;

/* The queues a consumer may stand in: each at most once, told by a bit of its own. */
enum leat_queue {
    LEAT_QUEUE_TAKES = 1,
    LEAT_QUEUE_DIRTY = 2,
    LEAT_QUEUE_WAITING = 4,
    LEAT_QUEUE_FORGETS = 8,
    LEAT_QUEUE_COUNTS = 16
};

struct leat_consumer_list {
    struct leat_consumer **items;
    size_t count, capacity;
};
/* As it is, once more. */
void leat_consumer_list_append(struct leat_consumer_list *list, struct leat_consumer *consumer);

struct leat_committer {
    struct leat_runtime *runtime;
    struct leat_thread thread;
    struct leat_mutex lock;
    struct leat_condition condition, answered;
    struct leat_consumer_list takes LEAT_FIELD_GUARDED_BY(lock), dirty LEAT_FIELD_GUARDED_BY(lock),
        waiting LEAT_FIELD_GUARDED_BY(lock), forgets LEAT_FIELD_GUARDED_BY(lock),
        counts LEAT_FIELD_GUARDED_BY(lock);
    bool is_stopping LEAT_FIELD_GUARDED_BY(lock), is_ended LEAT_FIELD_GUARDED_BY(lock),
        is_woken LEAT_FIELD_GUARDED_BY(lock);
    struct leat_audit *audits LEAT_FIELD_GUARDED_BY(lock);
    struct leat_known *known LEAT_FIELD_GUARDED_BY(lock);
    struct leat_meeting *meetings LEAT_FIELD_GUARDED_BY(lock); /* meeting.c */

    /* A call into the target: which, and since when (monotonic; 0: none). Told by its thread, looked at by the watchdog. */
    const char *_Atomic call;
    _Atomic int64_t calling_since_us;
    bool is_named; /* the watchdog's */

    /* What has been told of its target, for all its shards: LEAT_TARGET_AWAY, or nothing. */
    _Atomic int told;

    /* The thread's. */
    struct leat_store store;
    void *rows; /* the target's committer, where progress is kept elsewhere */
    struct leat_random random;
    struct leat_flight *parked;
    int64_t take_at_us, parents_at_us, cheapest_us;
    unsigned take_failures;
    int64_t count_at_us; /* committer_count.c */
    unsigned count_failures;
    int64_t refusal_told_us;
    /* audit.c */
    int64_t look_at_us, ask_at_us, ask_wait_us, doubt_asked_us;
    bool is_doubtful;
};

/* True: it is news, and counts as told. The committer's thread. */
bool leat_committer_tells(struct leat_committer *committer, enum leat_target_trouble trouble);
/* Around what the target does. */
void leat_committer_call_begin(struct leat_committer *committer, const char *call);
void leat_committer_call_end(struct leat_committer *committer);
void leat_committer_main(void *committer);
void leat_committer_queue(struct leat_committer *committer, struct leat_consumer *consumer,
                          enum leat_queue queue) LEAT_REQUIRES(committer->lock);
/* Out of the queue, if it is in it. */
void leat_committer_unqueue(struct leat_committer *committer, struct leat_consumer *consumer,
                            enum leat_queue queue) LEAT_REQUIRES(committer->lock);
void leat_committer_wake(struct leat_committer *committer) LEAT_REQUIRES(committer->lock);
/* All that is in the queue, which is empty then; free its items. */
struct leat_consumer_list leat_committer_steal(struct leat_committer *committer,
                                               enum leat_queue queue);
/* committer_count.c: counts what is due. Returns when to look again. */
int64_t leat_committer_run_counts(struct leat_committer *committer, int64_t now_us);
void leat_committer_run_takes(struct leat_committer *committer,
                              const struct leat_consumer_list *takes);

/* progress_cleanup.c. Any thread: what is known of a stream's shards; replaces what was told before and is not done yet. */
void leat_committer_tell_known(struct leat_committer *committer,
                               const struct leat_known_shards *known);
/* The committer's thread: removes what nobody reads any more. */
void leat_committer_clean_up(struct leat_committer *committer);
void leat_committer_known_release(struct leat_committer *committer);

#endif
