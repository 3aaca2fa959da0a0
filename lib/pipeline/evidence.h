/*
 * Whose fault a refusal is: the rows', or the table's. No SQLSTATE tells: 42501 is a right that is missing, and a row that a policy
 * keeps out; a trigger raises what it likes. So rows of the same kind (table, operation, columns that are present) are tried
 * beside the refused ones, in a transaction that is taken back: where the target takes such rows and refuses these, these are
 * guilty. Where it takes none of some kind, nobody can say so, and nothing may be diverted.
 *
 * Such rows are the last ones that were written, of any shard, and those of the refused flush. One evidence per processor.
 * Threads: any committer of the processor.
 */
#ifndef LEAT_PIPELINE_EVIDENCE_H
#define LEAT_PIPELINE_EVIDENCE_H

#include <leat/target.h>

struct leat_evidence;

struct leat_evidence *leat_evidence_new(void);
void leat_evidence_free(struct leat_evidence *evidence);

/* A flush was committed: one row of each kind is remembered. */
void leat_evidence_see(struct leat_evidence *evidence, const struct leat_flush *flush);

enum leat_guilt {
    LEAT_GUILT_UNPROVEN, /* no row of some kind of these is taken: as far as can be known the table is at fault */
    LEAT_GUILT_ROWS, /* beside rows that are taken, these are refused */
    LEAT_GUILT_GONE  /* they would be taken now */
};

struct leat_evidence_question {
    const struct leat_target *ops;
    void *committer;
    const struct leat_flush *flush; /* of one shard */
    bool
        is_lost; /* the connection ended with them, again and again: where it does in a trial they are refused */
    bool is_thorough; /* also when a kind of its rows was looked for in vain a moment ago */
};

/* 0, or the target could not be asked. The committer's thread. */
int leat_evidence_judge(struct leat_evidence *evidence,
                        const struct leat_evidence_question *question, enum leat_guilt *ret_guilt,
                        struct leat_error *err);
/*
 * Are these rows taken now, as a commit writes them? *ret_guilt: LEAT_GUILT_GONE, or LEAT_GUILT_ROWS, also where the target has
 * nothing to ask with. Nothing is said of other rows. 0, or the target could not be asked. The committer's thread.
 */
int leat_evidence_ask(const struct leat_evidence_question *question, enum leat_guilt *ret_guilt,
                      struct leat_error *err);

#endif
