/*
 * What the commands for operators share (leases, workers, shards, processors, checkpoint): actions, options, filters, the one
 * connection, --watch. A command is a table of actions; each says which options it takes, all others are refused by name.
 * One thread: the command's.
 */
#ifndef LEAT_WORKER_OPERATOR_H
#define LEAT_WORKER_OPERATOR_H

#include "lease/rows.h"
#include "worker/command.h"
#include "worker/database_options.h"
#include "worker/shard_name.h"

enum leat_operator_option {
    LEAT_TAKES_STREAM = 1 << 0,
    LEAT_TAKES_SHARD = 1 << 1,
    LEAT_TAKES_WORKER = 1 << 2,
    LEAT_TAKES_PROCESSOR = 1 << 3,
    LEAT_TAKES_STATE = 1 << 4,
    LEAT_TAKES_WATCH = 1 << 5,
    LEAT_TAKES_SINCE = 1 << 6,
    LEAT_TAKES_LIMIT = 1 << 7,
    LEAT_TAKES_FENCE = 1 << 8,
    LEAT_TAKES_UNDO = 1 << 9,
    LEAT_TAKES_FORCE = 1 << 10,
    LEAT_TAKES_DRY_RUN = 1 << 11,
    LEAT_TAKES_ALL = 1 << 12,
    LEAT_TAKES_TO = 1 << 13,
    LEAT_TAKES_YES = 1 << 14
};

struct leat_operator;

struct leat_operator_action {
    const char *name; /* of the first one of a command that lists: "ls", which need not be said */
    const char *usage;
    int operands;
    unsigned takes;                         /* enum leat_operator_option */
    int (*run)(struct leat_operator *task); /* an exit code */
};

struct leat_operator_command {
    const char *name;
    void (*help)(void);
    const struct leat_operator_action *actions;
    size_t action_count;
    const char *const *states; /* that --state may name; NULL-ended */
    bool needs_action;
};

struct leat_operator {
    const struct leat_operator_command *command;
    const struct leat_operator_action *action;
    struct leat_database_options database; /* with --processor */
    const char *operand;
    const char *stream, *shard, *worker, *state, *to; /* NULL: not given */
    char shard_name[LEAT_SHARD_NAME_BYTES];
    int64_t watch_us, since_us, limit; /* 0: not given */
    bool is_fence, is_undo, is_forced, is_dry_run, is_all, is_sure;
    unsigned given;                        /* enum leat_operator_option */
    struct leat_pg_connection *connection; /* to the lease database */
    FILE *out;
    struct leat_buf application; /* when it is the only one there is */
    struct leat_notify notify;
    struct leat_rows_context rows; /* for what changes something */
};

#define LEAT_OPERATOR_FILTER_HELP                                                                  \
    "  --stream NAME, --shard SHARD (7: shardId-000000000007), --worker ID,\n"                     \
    "  --processor NAME, --state STATE   only these, where they make sense\n"
#define LEAT_OPERATOR_WATCH_HELP                                                                   \
    "  --watch[=SECONDS]  again and again (default: each 2 s), until Ctrl-C; at most a fifth of "  \
    "the\n"                                                                                        \
    "                   time is spent asking\n"

/* A whole command. Returns its exit code. */
int leat_operator_run(int argc, char **argv, const struct leat_operator_command *command);

/* One line on standard error: `leat leases: …`. Returns the code. */
int leat_operator_says(const struct leat_operator *task, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- asking ---------------------------------------------------------------------------------- */

/* Connects (once) and checks the schema and --application. 0 or an error that is told by the caller. */
int leat_operator_connect(struct leat_operator *task, struct leat_error *err);
/* One statement in a read-only transaction; $1 … $9: application, stream, shard, worker, processor, state (NULL: not given),
   since (µs), limit (0: not given), and how old a lag may be to be shown (µs). */
int leat_operator_read(struct leat_operator *task, const char *sql, PGresult **ret_result,
                       struct leat_error *err);
/*
 * Shows it once, or as --watch says: read is called for each time and prints to task->out. Returns an exit code. Workers are
 * asked beforehand what they know of their shards; the first time their answers are waited for, briefly.
 */
int leat_operator_show(struct leat_operator *task,
                       int (*read)(struct leat_operator *task, struct leat_error *err));
/* Do --stream, --shard, --worker and --processor name something? An exit code; what there is was said. */
int leat_operator_check_filters(struct leat_operator *task);
/* sql's rows, as leat_operator_read gives them, as a sheet on task->out. */
int leat_operator_sheet(struct leat_operator *task, const char *sql,
                        const struct leat_sheet_column *columns, size_t column_count,
                        struct leat_error *err);
/* Asks workers what they know of their shards; waits for those that beat, at most a moment. */
void leat_operator_ask(struct leat_operator *task, bool is_waiting);

/* What workers told last, as a CTE: seen (application, incarnation, processor, stream_id, shard, behind_ms, consumer, reason,
   age), and of each lease the worst of it: lags (application, incarnation, stream_id, shard, behind_ms, age). */
extern const char leat_operator_seen_sql[];
#define LEAT_SECONDS(what) "round((" what ")::numeric, 1)::text"
#define LEAT_UTC(column)                                                                           \
    "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

/* ---- changing -------------------------------------------------------------------------------- */

/* The one application that is meant: given, configured, or the only one there is. An exit code; says what is wrong. */
int leat_operator_application(struct leat_operator *task);
/* On a terminal asks for "yes"; elsewhere --yes must have been said. An exit code; says that nothing was changed. */
int leat_operator_confirm(struct leat_operator *task, const char *question);
/* ", did you mean \"x\"?" of the first column of the rows; "" when none is near. */
void leat_operator_near(const PGresult *names, const char *word, struct leat_buf *out);
/* "a, b, c" of the first column; "none". */
void leat_operator_names(const PGresult *names, struct leat_buf *out);

#endif
