/*
 * What one batch needs while it is cut, called and closed: arrays of records, of emitted rows, of failures. Lent to the consumer
 * that runs, so that they are as many as worker threads, not as shards. Any thread.
 */
#ifndef LEAT_PIPELINE_SCRATCH_H
#define LEAT_PIPELINE_SCRATCH_H

struct leat_consumer;
struct leat_scratch_pool;

struct leat_scratch_pool *leat_scratch_pool_new(void);
void leat_scratch_pool_free(struct leat_scratch_pool *pool); /* all given back; NULL is fine */
void leat_scratch_lend(struct leat_scratch_pool *pool, struct leat_consumer *consumer);
/* What the batch held beyond the arrays goes back to the system: nothing of it is needed any more. */
void leat_scratch_take_back(struct leat_scratch_pool *pool, struct leat_consumer *consumer);

#endif
