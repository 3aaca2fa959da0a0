/* The inside of a committer, shared by take.c and commit.c. */
#ifndef LEAT_POSTGRES_COMMITTER_INSIDE_H
#define LEAT_POSTGRES_COMMITTER_INSIDE_H

#include "base/map.h"
#include "postgres/array.h"
#include "postgres/committer.h"

/* rivals.c: how often somebody else took what our lease database says is ours. */
struct leat_pg_rivals {
    struct leat_map times; /* by key: a count */
    int64_t since_us;      /* of these counts */
    int64_t named_us; /* since when our session bears our lease database's name; 0: it does not */
    int64_t said_us;
};
/* More of an application_name is cut off by the server. */
#define LEAT_PG_SESSION_NAME_BYTES 63
/*
 * The application_name of a session that bears a lease database's name. A name that is too long, or has bytes that the server
 * would replace, becomes a hash of it and its end: two databases of one host with a long name (of a managed service, say) differ in
 * their ends alone. Pure.
 */
void leat_pg_rivals_name(const char *leases_name, char ret_name[LEAT_PG_SESSION_NAME_BYTES + 1]);
void leat_pg_rivals_init(struct leat_pg_rivals *rivals);
void leat_pg_rivals_release(struct leat_pg_rivals *rivals);

struct leat_pg_committer {
    struct leat_pg_committer_options options;
    struct leat_pg_connection *connection; /* NULL: not open */
    struct leat_pg_connection *control;    /* frees locked rows; open for the end of a take alone */
    struct leat_arena arena;               /* what the last call returned */
    struct leat_pg_facts *facts; /* of the tables, as this connection saw them; NULL: none */
    bool are_facts_old;          /* to be read again before the next commit */
    unsigned facts_version;      /* grows when they change */
    unsigned told_version;       /* of the facts that were asked for last; 0: never */
    int64_t facts_us;            /* when they were read, or found to be as they are */
    bool *
        equals; /* by table: its keys were found to be equal though nothing in the catalog says so */
    size_t statement_rows; /* at most, in one statement */
    char id[64];           /* of the target that connection leads to */
    struct leat_pg_rivals rivals;
};
#define LEAT_PG_STATEMENT_ROWS 1000

/* Opens the connection when there is none, or a broken one. */
int leat_pg_committer_ready(struct leat_pg_committer *committer, struct leat_error *err);
/* As that, and the facts are those of now, but for a moment: many rewinds at once do not ask each for itself. */
int leat_pg_committer_look(struct leat_pg_committer *committer, struct leat_error *err);

/* free_row.c: ends the backend of leat that holds this progress row, or makes our own one (pid) wait for it. */
int leat_pg_free_row(struct leat_pg_committer *committer, const struct leat_progress_key *key,
                     int pid, struct leat_error *err);

/* judge.c: a row of stream_id, shard, lease_counter, lease_owner, commit_seq, checkpoint, sub_sequence; the shard's outcome. */
void leat_pg_judge(const struct leat_flush *flush, const PGresult *result, int row,
                   struct leat_commit_result *results);

/* Progress keys as arrays: application, processor, tenant, stream_id, shard as $1 … $5. */
struct leat_pg_keys {
    struct leat_buf columns[5];
};
void leat_pg_keys_init(struct leat_pg_keys *keys);
void leat_pg_keys_release(struct leat_pg_keys *keys);
void leat_pg_keys_begin(struct leat_pg_keys *keys, size_t count);
void leat_pg_keys_add(struct leat_pg_keys *keys, const struct leat_progress_key *key);
void leat_pg_keys_bind(struct leat_pg_keys *keys, struct leat_pg_parameters *parameters);

/* The text of a result's column, copied into the arena. */
struct leat_slice leat_pg_copy(struct leat_arena *arena, const PGresult *result, int row,
                               int column);

/* After a take: counts, and says once a minute who the other one is. */
void leat_pg_rivals_look(struct leat_pg_committer *committer, const struct leat_take *takes,
                         size_t count);

/* take_parents.c: marks the takes that must wait for a parent; all others as not taken yet. */
int leat_pg_take_check_parents(struct leat_pg_committer *committer, struct leat_take *takes,
                               size_t count, struct leat_error *err);

#endif
