/* What a Postgres error means for a commit (docs/protocol.md §4). Pure. */
#ifndef LEAT_POSTGRES_SQLSTATE_H
#define LEAT_POSTGRES_SQLSTATE_H

#include <stdbool.h>

#define LEAT_SQLSTATE_READ_ONLY "25006" /* a standby, or an old primary */
#define LEAT_SQLSTATE_CANCELLED "57014" /* by statement_timeout, or by a person */
#define LEAT_SQLSTATE_LOCKED "55P03" /* another transaction holds the row: lock_timeout, NOWAIT */
#define LEAT_SQLSTATE_CARDINALITY "21000" /* one statement would affect a row twice */

enum leat_sqlstate_class {
    LEAT_SQLSTATE_TRANSIENT, /* wait, uncounted */
    LEAT_SQLSTATE_DATA,      /* the rows are refused */
    LEAT_SQLSTATE_FENCED,    /* LT001: ours */
    LEAT_SQLSTATE_CONFIGURATION /* all others: the table's fault, or the rows': see leat/target.h, LEAT_COMMIT_REFUSED */
};

/* sqlstate: five characters; NULL or empty (the connection broke): transient. */
enum leat_sqlstate_class leat_sqlstate_classify(const char *sqlstate);
/* 40P01, 40001: the same again at once is right. */
bool leat_sqlstate_is_collision(const char *sqlstate);

#endif
