/* A flush on its way: which consumers' pendings it holds, and what became of it. The committer thread's alone. */
#ifndef LEAT_PIPELINE_FLIGHT_H
#define LEAT_PIPELINE_FLIGHT_H

#include "pipeline/runtime.h"

struct leat_flight_part {
    struct leat_consumer *consumer;
    struct leat_pending *pending;
};

struct leat_flight {
    struct leat_flight *next; /* of the parked ones */
    struct leat_runtime *runtime;
    struct leat_flight_part *parts;
    size_t count, capacity;
    int64_t retry_at_us;
    unsigned attempts;
    unsigned refusals; /* of a record that stands alone: it is tried again before it is diverted */
    bool is_unknown;   /* the answer to COMMIT was lost: resolve first */
    unsigned losses;   /* times that the answer was lost, and nothing had been committed */
    struct leat_commit_result lost; /* the last of them */
    bool has_written_rows; /* a target without transactions has them: only progress is left to do */
    bool is_told;          /* that it waits */
};

struct leat_flight_result {
    bool is_parked;           /* keep it; try again at retry_at_us */
    bool ended_a_shard;       /* SHARD_END was committed: children may wait for it */
    int64_t commit_us;        /* how long a commit took; 0: none did */
    struct leat_flight *rest; /* what is to be sent on its own now; may be a list of several */
};

struct leat_flight *leat_flight_new(struct leat_runtime *runtime);
void leat_flight_free(struct leat_flight *flight); /* pendings still in it are freed */
void leat_flight_add(struct leat_flight *flight, struct leat_consumer *consumer,
                     struct leat_pending *pending);
/* Takes this consumer's part out: it is gone. */
void leat_flight_drop(struct leat_flight *flight, const struct leat_consumer *consumer);
struct leat_flight_result leat_flight_fly(struct leat_flight *flight,
                                          const struct leat_store *store, void *rows,
                                          struct leat_random *random);

/* Progress in the lease database, for targets without transactions. */
int leat_progress_store_open(const struct leat_pipeline_options *options,
                             const struct leat_pipeline_processor *processor,
                             struct leat_store *ret_store, struct leat_error *err);

#endif
