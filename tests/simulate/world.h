/*
 * A fleet in memory, on a clock of its own: the lease table with the conditional statements of docs/protocol.md §1 and §2,
 * workers that renew, judge, read, drain and take, streams whose shards are split and merged. What decides is the library's:
 * assign.h, shard_sync.h, watch.h, measure.h, loads.h. Everything comes from one seed.
 *
 * Time goes in ticks of 250 ms, the manager's round. What somebody read in a tick he acts on in the next one, so that the world
 * may have moved meanwhile.
 */
#ifndef LEAT_SIMULATE_WORLD_H
#define LEAT_SIMULATE_WORLD_H

#include "base/random.h"
#include "lease/assign.h"
#include "lease/measure.h"
#include "lease/shard_sync.h"
#include "lease/watch.h"

#define SIM_TICK_US INT64_C(250000)
#define SIM_HEARTBEAT_US INT64_C(1000000)
#define SIM_EXPIRY_US INT64_C(5000000)
#define SIM_FORCE_US INT64_C(5000000)
#define SIM_NEVER INT64_MAX
#define SIM_WORKERS_MOST 16384 /* incarnations */

struct sim_stream {
    struct leat_shard_list shards;
    size_t *lease_of; /* by shard, + 1; 0: none */
    size_t lease_capacity;
};

struct sim_lease {
    size_t stream, shard;     /* shard: in the stream's list */
    int64_t handoff_at_us;    /* 0: none */
    int64_t progress_counter; /* the fence in the target */
    int64_t progress_owner;
    int64_t ran_at_us;  /* somebody committed, or it waits for its parents */
    int64_t seen_at_us; /* … as of the tick before */
    int64_t ends_at_us; /* a closed shard: when all of it is read */
    int64_t demand_us;  /* busy time in a second of a worker of speed 1 */
    bool is_hot;
    uint32_t handoffs;
    size_t committed_by; /* the last one, + 1 */
    int64_t committed_counter;
};

/* What a worker believes to hold. */
struct sim_held {
    size_t lease;
    int64_t lease_counter, let_go_at_us; /* SIM_NEVER: not draining */
    int64_t busy_us;                     /* since it is held */
    bool is_seen;
};

/* One row of the workers' table, and the process behind it, if it lives. */
struct sim_worker {
    struct leat_worker row;
    int64_t began_at_us, heartbeat_at_us, expires_at_us;
    struct leat_buf loads;
    char id[16], build[16];
    /* The process. */
    bool is_running, is_session_free; /* free: the process or its connection is gone */
    int64_t frozen_until_us, next_beat_us, next_pass_us, let_go_us;
    double speed;
    int64_t version; /* as it knows it; read_version: what its leases are of */
    int64_t read_version, pass_version, pass_read_at_us, measured_at_us, published_at_us;
    bool has_news;
    int64_t waiting_since_us;
    struct sim_held *held;
    size_t held_count, held_capacity;
    struct leat_watch watch;
    struct leat_health health;
    struct leat_measure measure;
};

/* A plan that was made in the tick before. */
struct sim_plan {
    bool is_there;
    size_t by;
    struct leat_assign_output output;
    size_t *lease_of; /* of the plan's leases */
    struct leat_lease *leases;
    struct leat_worker *workers;
    size_t *worker_of;
    size_t lease_count, worker_count;
};

/* Leases by owner, as read in this tick. */
struct sim_table {
    int64_t read_at_us, version;
    size_t *first, *items; /* first: by worker; one more behind */
};

enum sim_move { SIM_ASSIGNED, SIM_HANDED_OVER, SIM_FORCED, SIM_MOVES };

struct sim_counts {
    uint64_t moves[SIM_MOVES], planned, cancels, refused, passes, acts_for_load, deaths, fenced;
    uint64_t reshards, made_by_sync, needed, handoffs;
    uint64_t spread_checks, most_spread;
};

struct sim_series {
    double *values;
    size_t count, capacity;
};

struct sim_world {
    const char *name;
    struct leat_random random;
    int64_t now_us;
    struct sim_stream *streams;
    size_t stream_count;
    struct leat_lease *rows; /* the lease table, with the simulation's own beside it */
    struct sim_lease *leases;
    size_t lease_count, lease_capacity;
    struct sim_worker *workers;
    size_t worker_count;
    struct sim_table table;
    int64_t version, pass_by, pass_at_us;
    struct leat_balance balance;
    int64_t rebalanced_at_us;
    struct sim_plan plan;
    int64_t changed_at_us; /* members or leases */
    unsigned passes_since_change;
    int64_t orphan_bar_us;
    bool is_counted; /* all leases cost the same: plans can be judged by counting */
    struct sim_counts counts;
    struct sim_series pass_cpu_us, orphans_us;
    unsigned failures;
    size_t next_id;
};

/* table.c: the statements. Each carries its own condition and says whether it held. */
bool sim_assign(struct sim_world *world, size_t lease, const struct leat_lease *read, size_t to);
bool sim_handoff(struct sim_world *world, size_t lease, const struct leat_lease *read, size_t to);
bool sim_cancel(struct sim_world *world, size_t lease, const struct leat_lease *read);
bool sim_let_go(struct sim_world *world, size_t lease, int64_t incarnation);
size_t sim_force(struct sim_world *world);
void sim_release_all(struct sim_world *world, size_t worker);
bool sim_judge(struct sim_world *world, const struct leat_sighting *seen);
bool sim_claim_pass(struct sim_world *world, int64_t incarnation);
size_t sim_worker_of(const struct sim_world *world, int64_t incarnation); /* SIZE_MAX: none */
void sim_moved(struct sim_world *world);                                  /* assignment_version */
void sim_changed(struct sim_world *world); /* … and who is there, or what */

/* workers.c: processes. */
size_t sim_join(struct sim_world *world, const char *build);
void sim_crash(struct sim_world *world, size_t worker);
void sim_terminate(struct sim_world *world, size_t worker); /* SIGTERM: drains, then releases all */
void sim_run_workers(struct sim_world *world);
size_t sim_running(const struct sim_world *world);
size_t sim_any_running(struct sim_world *world);

/* streams.c */
void sim_streams_begin(struct sim_world *world, size_t streams, size_t shards);
void sim_split(struct sim_world *world);
void sim_merge(struct sim_world *world);
void sim_sync(struct sim_world *world); /* what a sync of each stream finds missing */
void sim_end_shard(struct sim_world *world, size_t lease);
bool sim_may_run(const struct sim_world *world, size_t lease); /* its parents have ended */

/* passes.c */
void sim_pass(struct sim_world *world, size_t worker);
void sim_carry_out(struct sim_world *world); /* the plan of the tick before */

/* world.c */
struct sim_world *sim_world_new(const char *name, uint64_t seed);
void sim_world_free(struct sim_world *world);
void sim_tick(struct sim_world *world);
void sim_failed(struct sim_world *world, const char *format, ...) LEAT_PRINTF(2, 3);
void sim_series_add(struct sim_series *series, double value);
double sim_series_at(struct sim_series *series, double share); /* sorts: 0.5 is the median */

#endif
