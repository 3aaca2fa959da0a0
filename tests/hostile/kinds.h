/* The kinds, as tables: what the other side does, and what must be said of it. */
#ifndef LEAT_TESTS_HOSTILE_KINDS_H
#define LEAT_TESTS_HOSTILE_KINDS_H

#include "support/fleet.h"
#include "tests/hostile/front.h"

struct hostile_kind {
    const char *name;
    const char
        *action; /* whose calls about EVIL are answered so; NULL: none, `put` is what hurts */
    hostile_answer_fn answer; /* NULL: with status, headers and body */
    int status;               /* 0: 200 */
    const char *headers;      /* NULL: JSON */
    const char *body;         /* each $ stands for `times` times `fill` */
    const char *fill;
    size_t times;
    void (*put)(struct test_fleet *fleet); /* what is in EVIL at the start */
    unsigned shards;                       /* of EVIL; 0: 1 */
    const char *
        says; /* in the log, by alternatives a|b; NULL: there is nothing wrong that could be named */
    int64_t evil_rows;    /* of EVIL that must come all the same */
    const char *counts;   /* the SQL of those rows; NULL: what print wrote of EVIL */
    const char *rest;     /* YAML; NULL: print, on a budget of 32 MiB */
    const char *streams;  /* NULL: both by name */
    int64_t budget_bytes; /* of `rest`; 0: 32 MiB */
    bool is_late; /* the start goes well: a worker that cannot look its streams up there ends */
    bool is_s3;   /* the archive is what is hostile */
};

struct hostile_kinds {
    const struct hostile_kind *kinds;
    size_t count;
};
extern const struct hostile_kinds hostile_transport, hostile_reads, hostile_lists, hostile_records,
    hostile_stores;

/* A record of EVIL, into its only shard or that of a hash key ("": by the partition key). */
void hostile_put(struct test_fleet *fleet, const char *key, const char *hash_key,
                 struct leat_slice data);
/* The same of a KPL aggregate: the protobuf of it. */
void hostile_put_aggregate(struct test_fleet *fleet, struct leat_slice message);

#endif
