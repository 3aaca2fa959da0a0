/*
 * Takes one stream record apart: a KPL aggregate, a gzip'd JSON array, or a plain record, as a stream under a limit.
 * Rules and their order: the KCL's AggregatorUtil, docs/protocol.md §7. What the KCL loses silently is told here by name.
 * Pure but for memory; not for threads: one per consumer.
 */
#ifndef LEAT_STREAM_DEAGGREGATE_H
#define LEAT_STREAM_DEAGGREGATE_H

#include "stream/source.h"

/* User records of one stream record: what readers take by default, and what our producer puts at most. */
#define LEAT_EXPAND_ELEMENTS 100000

/* What of an aggregate lies outside the shard's hash range: its shard was split or merged on the way. */
enum leat_outside {
    LEAT_OUTSIDE_KEEP_IN_RANGE = 0,  /* those inside are good, each other is diverted */
    LEAT_OUTSIDE_DROP_AGGREGATE = 1, /* none of it is handed out, and none diverted: as the KCL */
    LEAT_OUTSIDE_KEEP_ALL = 2        /* all are good */
};

struct leat_expand_limits {
    size_t limit_bytes; /* of what one record expands to; 0: 64 MiB */
    unsigned ratio;     /* expanded : compressed; 0: 200 */
    size_t elements;    /* user records of one stream record; 0: 100,000 */
    enum leat_outside outside;
};

enum leat_user_record_status {
    LEAT_USER_RECORD_GOOD = 0,
    LEAT_USER_RECORD_OUTSIDE_HASH_RANGE = 1, /* reason outside_hash_range: divert this one */
    LEAT_USER_RECORD_BAD_INDEX = 2,          /* reason bad_aggregate_index: divert this one */
    LEAT_USER_RECORD_BAD_ARRAY =
        3, /* reason bad_json_array: the rest of a gzip'd array does not parse */
    LEAT_USER_RECORD_TOO_LARGE =
        4,                         /* reason expansion_limit: the whole stream record is diverted */
    LEAT_USER_RECORD_TOO_MANY = 5, /* the same, for the number of its elements */
    LEAT_USER_RECORD_GIVEN_UP = 6  /* reason most_elements; the consumer's word, never told here */
};

struct leat_user_record {
    struct leat_record record; /* slices into the chunk or the deaggregator; valid until reset */
    enum leat_user_record_status status;
    bool is_outside;                   /* of the shard's hash range, whatever is made of that */
    const struct leat_raw_record *raw; /* the stream record it came from */
};

struct leat_deaggregator;
/* The shard's hash range: NULL when it is not known (then nothing is outside). */
struct leat_deaggregator *leat_deaggregator_new(const struct leat_expand_limits *limits,
                                                const struct leat_hash_key *range_start,
                                                const struct leat_hash_key *range_end);
void leat_deaggregator_free(struct leat_deaggregator *deaggregator);
/* From now on what records expand to is asked for from this budget, which also bounds it. */
void leat_deaggregator_charge_to(struct leat_deaggregator *deaggregator,
                                 struct leat_memory *memory);
/* Begins a stream record. false: what it expands to has no room in the budget now; nothing is begun, try later. A record that
   was left in the middle and kept is not expanded again. */
bool leat_deaggregator_begin(struct leat_deaggregator *deaggregator,
                             const struct leat_raw_record *raw);
/* The next user record of it; false: that was all. Sub-sequence numbers 0, 1, 2 … in order. */
bool leat_deaggregator_next(struct leat_deaggregator *deaggregator,
                            struct leat_user_record *ret_record);
/* How many it has, of what was begun; what does not parse is one. */
size_t leat_deaggregator_elements(const struct leat_deaggregator *deaggregator);
/* The rest of what was begun is not wanted. */
void leat_deaggregator_skip(struct leat_deaggregator *deaggregator);
/* Bytes held for expanded records and tables of keys. */
size_t leat_deaggregator_held_bytes(const struct leat_deaggregator *deaggregator);
/* Forgets what was handed out: after the batch that borrowed it is processed. */
void leat_deaggregator_reset(struct leat_deaggregator *deaggregator);
/* The same, but an expanded record that is still being taken apart stays, for the next batch. */
void leat_deaggregator_reset_but_open(struct leat_deaggregator *deaggregator);
/* An expanded record is being taken apart, or is kept for that. */
bool leat_deaggregator_is_open(const struct leat_deaggregator *deaggregator);
/* Counters since the start: aggregates, bad MD5 (delivered as plain records), user records outside of the range whatever became of
   them, aggregates dropped for one, bad index, too large or of too many elements. */
struct leat_deaggregator_counts {
    uint64_t aggregates, bad_md5, outside_hash_range, dropped_aggregates, bad_index, bad_array,
        too_large;
};
struct leat_deaggregator_counts leat_deaggregator_counts(
    const struct leat_deaggregator *deaggregator);

#endif
