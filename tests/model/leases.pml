/*
 * Who owns a lease: heartbeats, judges, the pass, handoffs (docs/protocol.md §1, 2). What an owner may write is commit.pml's.
 *
 * Time goes in ticks of one heartbeat. A tick ends when every worker that runs and reaches the database has renewed, looked at the
 * others, planned and read its leases, in any order and with the others' steps anywhere between its readings and its writings:
 * so what holds here needs no luck, only workers that are no slower than a heartbeat.
 *
 * Troubles come at any moment: a worker is killed, frozen for as long as it likes, cut off (its session's lock is free then), stuck
 * (it renews, and does nothing else), or leaves; the database goes away for any time and comes back.
 *
 * What must hold
 *   no false death  nobody is declared dead who was neither frozen nor cut off for a whole tick: an outage kills nobody
 *   no robbery      a lease is taken from its owner only when he is dead, lets go, or was asked to `FORCE` ticks ago
 *   one owner       every owner has a counter of his own, greater than all before
 *   no orphan       a lease has no owner that moves on for so many ticks at most while a worker runs and the database is there
 *   an end          a handoff is over after so many ticks at most
 *
 * Budgets (-D): WORKERS KILLS FREEZES CUTS STUCKS LEAVES OUTAGES HANDOFFS. Each -DWITHOUT_… takes a rule away.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef FREEZES
#define FREEZES 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef STUCKS
#define STUCKS 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef OUTAGES
#define OUTAGES 0
#endif
#ifndef HANDOFFS
#define HANDOFFS 0
#endif

#ifndef LEASE
#define LEASE 2 /* ticks without a renewal: expired */
#endif
#define STALE 1   /* the same renewal for longer: 1.2 heartbeats */
#define FORCE 2   /* ticks that a handoff may take */
#define SILENT 1  /* ticks after which another one claims the pass */
/* Expired and unhealthy judges first, then the same renewal, then a plan. A free lock is faster: not measured here. */
#ifndef ORPHAN_TICKS
#define ORPHAN_TICKS (2 * LEASE + 2 + STALE + SILENT)
#endif
#define HANDOFF_TICKS (FORCE + ORPHAN_TICKS)
#define NOBODY 0

mtype = { RUNNING, STUCK, FROZEN, GONE, ALIVE, LEAVING, DEAD, NONE, ASSIGN, HANDOFF, CANCEL, FORCED }

/* ---- the database ---- */
typedef worker_row {
    mtype state;
    byte incarnation;  /* even: nobody's; WORKERS * n + number */
    byte beat;         /* changes with each renewal: two are the most between two looks */
    byte age;          /* ticks since, as far as it matters */
    bool is_lock_free; /* of the session */
}
worker_row rows[WORKERS + 1];

typedef lease_row {
    byte owner, next, counter;
    byte handoff_age;
}
lease_row lease;
byte pass_by, pass_age;
bool is_away;

/* ---- processes ---- */
typedef process {
    mtype state;
    byte incarnation;
    bool is_cut;
    byte healthy;                          /* ticks with every renewal acknowledged */
    bool has_beaten, has_looked, has_planned, has_read; /* in this tick */
}
process workers[WORKERS + 1];

byte kills = KILLS, freezes = FREEZES, cuts = CUTS, stucks = STUCKS, leaves = LEAVES, outages = OUTAGES,
     handoffs = HANDOFFS;

/* Ghosts. */
bool is_to_blame[WORKERS + 1]; /* frozen, gone, or cut off for a whole tick, and not renewed since */
byte orphan_ticks, handoff_ticks, top_counter;
bool is_robbed;

#define OWNER_OF(incarnation) (incarnation == NOBODY -> 0 : 1 + (incarnation - 1) % WORKERS)
/* Is this incarnation the one of its worker's row, and what does the row say? */
#define ROW_IS(who, what) (who != NOBODY && rows[OWNER_OF(who)].incarnation == who && rows[OWNER_OF(who)].state == what)
#define IS_LIVING(who) (ROW_IS(who, ALIVE) || ROW_IS(who, LEAVING))
#define REACHES(w) (!is_away && !workers[w].is_cut)
#define MOVES_ON(w) (workers[w].state == RUNNING || workers[w].state == STUCK)
#define IS_SOUND(w) (workers[w].state == RUNNING && REACHES(w))
/* Whoever does not run, or cannot reach the database, has nothing to do in this tick. */
#define IS_DONE(w) (!MOVES_ON(w) || (workers[w].has_beaten && (workers[w].state == STUCK || !REACHES(w) ||    \
                    (workers[w].has_looked && workers[w].has_planned && workers[w].has_read))))

/* ---- one worker ---- */

/* Its rows say that it is dead, or do not know it: everything is dropped, and it is somebody else from now on. */
inline come_back(w)
{
    workers[w].incarnation = (workers[w].incarnation + WORKERS <= 6 * WORKERS ->
                              workers[w].incarnation + WORKERS : w);
    workers[w].healthy = 0;
    rows[w].state = ALIVE;
    rows[w].incarnation = workers[w].incarnation;
    rows[w].beat = (rows[w].beat + 1) % 3;
    rows[w].age = 0;
    rows[w].is_lock_free = false;
    is_to_blame[w] = false
}

inline renew(w)
{
    if
    :: !REACHES(w) -> workers[w].healthy = 0
    :: else ->
        if
#ifdef WITHOUT_DEAD_IS_FINAL
        :: rows[w].incarnation != workers[w].incarnation -> come_back(w)
#else
        :: rows[w].incarnation != workers[w].incarnation || rows[w].state == DEAD -> come_back(w)
#endif
        :: else ->
            rows[w].beat = (rows[w].beat + 1) % 3;
            rows[w].age = 0;
            rows[w].is_lock_free = false;
            is_to_blame[w] = false;
#ifdef WITHOUT_DEAD_IS_FINAL
            rows[w].state = (rows[w].state == DEAD -> ALIVE : rows[w].state);
#endif
            if
            :: workers[w].healthy < LEASE + 1 -> workers[w].healthy++
            :: else
            fi
        fi
    fi;
    workers[w].has_beaten = true
}

#ifdef WITHOUT_HEALTHY_JUDGE
#define IS_HEALTHY(w) true
#else
#define IS_HEALTHY(w) (workers[w].healthy > LEASE)
#endif
#ifdef WITHOUT_STALE
#define IS_STALE(ticks) true
#else
#define IS_STALE(ticks) (ticks > STALE)
#endif
#ifdef WITHOUT_SAME_BEAT
#define IS_SAME(v, b) true
#else
#define IS_SAME(v, b) (rows[v].beat == b)
#endif
#ifdef WITHOUT_SESSION_LOCK
#define IS_EXPIRED(v) (rows[v].age > LEASE)
#else
#define IS_EXPIRED(v) (rows[v].age > LEASE || rows[v].is_lock_free)
#endif

#ifdef WITHOUT_MOVE_COUNTER
#define MOVE_COUNTER true
#else
#define MOVE_COUNTER (lease.counter == seen_counter)
#endif
#ifdef WITHOUT_MOVE_OWNER
#define MOVE_OWNER true
#else
#define MOVE_OWNER (lease.owner == seen_owner)
#endif
#ifdef WITHOUT_MOVE_DEAD
#define MOVE_DEAD true
#else
#define MOVE_DEAD (!IS_LIVING(lease.owner))
#endif
#ifdef WITHOUT_MOVE_ALIVE
#define MOVE_ALIVE true
#else
#define MOVE_ALIVE ROW_IS(to, ALIVE)
#endif
#ifdef WITHOUT_LET_GO_OWNER
#define LET_GO_OWNER true
#else
#define LET_GO_OWNER (lease.owner == workers[me].incarnation)
#endif
#ifdef WITHOUT_LET_GO_ALIVE
#define LET_GO_TO lease.next
#else
#define LET_GO_TO (ROW_IS(lease.next, ALIVE) -> lease.next : NOBODY)
#endif

#ifdef WITHOUT_FORCE_AGE
#define FORCE_AGE (lease.next != NOBODY)
#else
#define FORCE_AGE (lease.next != NOBODY && lease.handoff_age > FORCE)
#endif
#ifdef WITHOUT_PASS_TAKE_OVER
#define MAY_PASS (pass_by == NOBODY || pass_by == me)
#else
#define MAY_PASS (pass_by == NOBODY || pass_by == me || pass_age > SILENT || !ROW_IS(workers[pass_by].incarnation, ALIVE))
#endif

/* Any living one; nobody when there is none. */
inline choose()
{
    if
    :: ROW_IS(workers[1].incarnation, ALIVE) -> to = workers[1].incarnation
    :: WORKERS > 1 && ROW_IS(workers[2].incarnation, ALIVE) -> to = workers[2].incarnation
    :: WORKERS > 2 && ROW_IS(workers[WORKERS].incarnation, ALIVE) -> to = workers[WORKERS].incarnation
    :: else -> to = NOBODY
    fi
}

/* `may`: the rule by which this may happen to a living owner. */
inline own(who, may)
{
    is_robbed = IS_LIVING(lease.owner) && !(may);
    assert(!is_robbed); /* no robbery */
    lease.owner = who;
    lease.next = NOBODY;
    lease.handoff_age = 0;
#ifndef WITHOUT_COUNT_UP
    lease.counter++;
#endif
    assert(who == NOBODY || lease.counter > top_counter); /* one owner */
    top_counter = lease.counter;
    assert(lease.counter < 40)
}

proctype worker(byte me)
{
    byte seen_beat[WORKERS + 1], seen_for[WORKERS + 1];
    byte v, to, seen_owner, seen_next, seen_counter, judged, judged_beat;
    bool is_letting_go, is_mine;
    mtype plan = NONE;

    do
    :: workers[me].state == GONE -> break
    :: d_step { MOVES_ON(me) && !workers[me].has_beaten -> renew(me);
        if
        :: workers[me].healthy == 0 -> for (v : 1 .. WORKERS) { seen_for[v] = 0 }
        :: else
        fi; v = 0 }

    /* Look at the others, one tick of sightings. Then judge the one that has been still for long. */
    :: d_step { IS_SOUND(me) && workers[me].has_beaten && !workers[me].has_looked ->
        for (v : 1 .. WORKERS) {
            if
            :: v == me || rows[v].state == DEAD || rows[v].incarnation == NOBODY -> seen_for[v] = 0
            :: else ->
                if
                :: seen_beat[v] != rows[v].beat -> seen_beat[v] = rows[v].beat; seen_for[v] = 0
                :: seen_beat[v] == rows[v].beat && seen_for[v] <= STALE -> seen_for[v]++
                :: else
                fi;
                if
                :: IS_HEALTHY(me) && IS_STALE(seen_for[v]) && IS_EXPIRED(v) -> judged = v; judged_beat = seen_beat[v]
                :: else
                fi
            fi
        }
        v = 0;
        workers[me].has_looked = judged == 0 }
    :: d_step { IS_SOUND(me) && judged != 0 ->
        if
        :: rows[judged].state != DEAD && IS_SAME(judged, judged_beat) && IS_EXPIRED(judged) ->
            assert(is_to_blame[judged]); /* judged: no false death */
            rows[judged].state = DEAD
        :: else
        fi;
        judged = 0; judged_beat = 0; workers[me].has_looked = true }

    /* The pass: read and decide, then write; anything may happen between. */
    :: atomic { IS_SOUND(me) && workers[me].has_beaten && !workers[me].has_planned && plan == NONE ->
        if
        :: MAY_PASS ->
            pass_by = me; pass_age = 0;
            seen_owner = lease.owner; seen_next = lease.next; seen_counter = lease.counter;
            if
            :: !IS_LIVING(lease.owner) && ROW_IS(lease.next, ALIVE) -> plan = ASSIGN; to = lease.next
            :: !IS_LIVING(lease.owner) && !ROW_IS(lease.next, ALIVE) -> plan = ASSIGN; choose()
            :: IS_LIVING(lease.owner) && lease.next == NOBODY && handoffs > 0 -> handoffs--; plan = HANDOFF; choose()
            :: ROW_IS(lease.owner, LEAVING) && lease.next == NOBODY -> plan = HANDOFF; choose()
            :: IS_LIVING(lease.owner) && lease.next == NOBODY && !ROW_IS(lease.owner, LEAVING)
#ifndef WITHOUT_CANCEL
            :: IS_LIVING(lease.owner) && lease.next != NOBODY && !ROW_IS(lease.next, ALIVE) -> plan = CANCEL
#else
            :: IS_LIVING(lease.owner) && lease.next != NOBODY && !ROW_IS(lease.next, ALIVE)
#endif
#ifndef WITHOUT_FORCE
            :: IS_LIVING(lease.owner) && ROW_IS(lease.next, ALIVE) -> plan = FORCED
#else
            :: IS_LIVING(lease.owner) && ROW_IS(lease.next, ALIVE)
#endif
            fi
        :: else
        fi;
        workers[me].has_planned = plan == NONE }
    :: d_step { IS_SOUND(me) && plan != NONE ->
        if
        :: plan == ASSIGN && MOVE_COUNTER && MOVE_OWNER && MOVE_DEAD && MOVE_ALIVE && to != NOBODY -> own(to, false)
        :: plan == HANDOFF && MOVE_COUNTER && MOVE_OWNER && lease.next == NOBODY && MOVE_ALIVE && to != lease.owner ->
            lease.next = to; lease.handoff_age = 0
        :: plan == CANCEL && MOVE_COUNTER && MOVE_OWNER && lease.next == seen_next -> lease.next = NOBODY; lease.handoff_age = 0
        :: plan == FORCED && FORCE_AGE && ROW_IS(lease.next, ALIVE) -> to = lease.next; own(to, lease.handoff_age > FORCE)
        :: else
        fi;
        plan = NONE; workers[me].has_planned = true;
        to = 0; seen_owner = 0; seen_next = 0; seen_counter = 0 }

    /* What is mine, and what I am asked to hand over. */
    :: d_step { IS_SOUND(me) && workers[me].has_beaten && !workers[me].has_read && !is_letting_go ->
        is_letting_go = lease.owner == workers[me].incarnation && lease.next != NOBODY;
        workers[me].has_read = !is_letting_go }
    :: d_step { IS_SOUND(me) && is_letting_go ->
        is_letting_go = false; workers[me].has_read = true;
        to = LET_GO_TO;
        is_mine = lease.owner == workers[me].incarnation;
        if
        :: LET_GO_OWNER -> own(to, is_mine)
        :: else
        fi;
        to = 0; is_mine = false }

    /* SIGTERM: all leases and the row in one update. */
    :: d_step { IS_SOUND(me) && leaves > 0 && rows[me].incarnation == workers[me].incarnation -> leaves--;
        if
        :: lease.owner == workers[me].incarnation -> own(NOBODY, true)
        :: else
        fi;
        rows[me].state = DEAD; workers[me].state = GONE; is_to_blame[me] = true;
        pass_by = (pass_by == me -> NOBODY : pass_by);
        plan = NONE; to = 0; seen_owner = 0; seen_next = 0; seen_counter = 0;
        is_letting_go = false; judged = 0; judged_beat = 0 }
    od
}

/* ---- the world ---- */

#define SOMEBODY_WORKS (IS_SOUND(1) || (WORKERS > 1 && IS_SOUND(2)) || (WORKERS > 2 && IS_SOUND(WORKERS)))
#define ALL_DONE (IS_DONE(1) && (WORKERS < 2 || IS_DONE(2)) && (WORKERS < 3 || IS_DONE(WORKERS)))

/* Its owner's process moves on, and is still the one that owns it. */
#define IS_WORKED_ON (lease.owner != NOBODY && MOVES_ON(OWNER_OF(lease.owner)) && \
                      workers[OWNER_OF(lease.owner)].incarnation == lease.owner)

proctype clock()
{
    byte w;

    do
    :: d_step { ALL_DONE ->
        for (w : 1 .. WORKERS) {
            workers[w].has_beaten = false;
            workers[w].has_looked = false;
            workers[w].has_planned = false;
            workers[w].has_read = false;
            if
            :: rows[w].age <= LEASE -> rows[w].age++
            :: else
            fi;
            if
            :: workers[w].state == FROZEN || workers[w].state == GONE || workers[w].is_cut -> is_to_blame[w] = true
            :: else
            fi
        }
        w = 0;
        pass_age = (pass_age <= SILENT -> pass_age + 1 : pass_age);
        if
        :: lease.next != NOBODY && lease.handoff_age <= FORCE -> lease.handoff_age++
        :: else
        fi;
        if
        :: IS_WORKED_ON || !SOMEBODY_WORKS -> orphan_ticks = 0
        :: else -> orphan_ticks++
        fi;
        assert(orphan_ticks <= ORPHAN_TICKS); /* no orphan */
        if
        :: lease.next == NOBODY || !SOMEBODY_WORKS -> handoff_ticks = 0
        :: else -> handoff_ticks++
        fi;
        assert(handoff_ticks <= HANDOFF_TICKS) /* an end */ }
    od
}

proctype trouble()
{
    byte w;

    do
    :: atomic { kills + freezes + cuts + stucks > 0 -> select(w : 1 .. WORKERS);
        if
        :: kills > 0 && workers[w].state != GONE ->
            kills--; workers[w].state = GONE; rows[w].is_lock_free = true; is_to_blame[w] = true
        :: freezes > 0 && workers[w].state == RUNNING ->
            freezes--; workers[w].state = FROZEN; workers[w].healthy = 0
        :: cuts > 0 && workers[w].state == RUNNING && !workers[w].is_cut ->
            cuts--; workers[w].is_cut = true; rows[w].is_lock_free = true; workers[w].healthy = 0
        :: stucks > 0 && workers[w].state == RUNNING -> stucks--; workers[w].state = STUCK
        :: else
        fi; w = 0 }
    :: atomic { select(w : 1 .. WORKERS);
        if
        :: workers[w].state == FROZEN -> workers[w].state = RUNNING; workers[w].healthy = 0
        :: workers[w].is_cut -> workers[w].is_cut = false; workers[w].has_beaten = false
        :: else
        fi; w = 0 }
    /* Away: every session ends. */
    :: d_step { outages > 0 && !is_away -> outages--; is_away = true;
        for (w : 1 .. WORKERS) { rows[w].is_lock_free = true; workers[w].healthy = 0 }
        w = 0 }
    :: d_step { is_away -> is_away = false;
        for (w : 1 .. WORKERS) { workers[w].has_beaten = false; workers[w].healthy = 0 }
        w = 0 }
    od
}

init {
    byte w;

    d_step {
        for (w : 1 .. WORKERS) {
            workers[w].state = RUNNING;
            workers[w].incarnation = w;
            workers[w].healthy = LEASE + 1; /* a fleet that has run for a while */
            rows[w].incarnation = w;
            rows[w].state = ALIVE
        }
        lease.owner = 1;
        lease.counter = 1;
        top_counter = 1;
        w = 0
    }
    atomic {
        for (w : 1 .. WORKERS) { run worker(w) }
        run clock();
        run trouble();
        w = 0
    }
}
