/*
 * Is a processor's first meeting with a stream its first one? The target knows: see meeting.c. The question comes from the
 * lease manager's sync thread, the answer from the processor's first committer.
 */
#ifndef LEAT_PIPELINE_MEETING_H
#define LEAT_PIPELINE_MEETING_H

#include "pipeline/committer.h"

/* Any thread. As leat_lease_events.progress. */
int leat_committer_progress(struct leat_committer *committer,
                            const struct leat_progress_question *question,
                            struct leat_known_progress *ret_known, struct leat_error *err);
/* The committer's thread: answers what is asked. */
void leat_committer_answer_meetings(struct leat_committer *committer);
void leat_committer_meetings_release(struct leat_committer *committer);

#endif
