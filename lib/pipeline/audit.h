/*
 * Progress compared with what this worker believes, and with the leases that have ended: see audit.c. A committer's; the
 * functions are its thread's but for leat_committer_tell_ended.
 */
#ifndef LEAT_PIPELINE_AUDIT_H
#define LEAT_PIPELINE_AUDIT_H

#include "pipeline/committer.h"

/* Any thread: these leases have ended, as of before now; is_open: of shards that are open. Copied. */
void leat_committer_tell_ended(struct leat_committer *committer, struct leat_slice stream_id,
                               const struct leat_slice *shards, size_t count, bool is_open);
/* Something failed: when the target is well again, it may be another one, or an older one. */
void leat_committer_doubt(struct leat_committer *committer);
/* A child waits for its parents: they may wait for it, too. */
void leat_committer_child_waits(struct leat_committer *committer);
/* What is due now. Returns when to be called again. */
int64_t leat_committer_audit(struct leat_committer *committer, int64_t now_us);
void leat_committer_audit_init(struct leat_committer *committer);
void leat_committer_audit_release(struct leat_committer *committer);

#endif
