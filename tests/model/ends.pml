/*
 * The end of a shard, in three steps (docs/architecture.md §4.4): (1) leases of the children in the lease database; (2)
 * SHARD_END for each processor in its target; (3) the lease is ended when all registered processors are there. And who may
 * start on the child.
 *
 * Shards: 0 is a parent, with -DMERGE 1 is another one, LAST is their child. Each holds one record, so a progress row goes
 * BEGIN, DONE, END. Workers crash between any two steps and know nothing afterwards; with -DOLD_POD worker 1 does not know
 * processor 1; with REGISTERS=1 processor 1 comes later, at any moment; a restored target brings any earlier progress back.
 *
 * What must hold
 *   parents first   a processor reads a child's record only when its own progress says END for all parents
 *   no orphan       when nothing moves any more, every registered processor has ended every shard, and so have the leases
 *
 * Budgets (-D): CRASHES RESTORES REGISTERS; MERGE, OLD_POD. Each -DWITHOUT_… takes a rule away.
 */
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef RESTORES
#define RESTORES 0
#endif
#ifndef REGISTERS
#define REGISTERS 0
#endif
#ifdef MERGE
#define LAST 2
#else
#define LAST 1
#endif
#define SHARDS (LAST + 1)
#define PROCESSORS 2
#define WORKERS 2
#define NOBODY 0

mtype = { MISSING, ACTIVE, ENDED }

/* ---- the lease database ---- */
typedef lease_row {
    mtype state;
    byte owner;
    byte ended_by; /* a bit for each processor */
}
lease_row leases[SHARDS];
byte registered; /* a bit for each processor */

/* ---- the target ---- */
#define BEGIN 0
#define DONE 1
#define END 2
#define AT(p, s) ((p) * SHARDS + (s))
byte progress[PROCESSORS * SHARDS], kept[PROCESSORS * SHARDS];
bool is_kept, is_parent_first, is_orphaned;
byte restores = RESTORES, crashes = CRASHES, registers = REGISTERS;

/* ---- consumers: gone with their worker, or with what the target said when they began ---- */
#define WHO(w, p, s) (((w) - 1) * PROCESSORS * SHARDS + AT(p, s))
bool is_checked[WORKERS * PROCESSORS * SHARDS];  /* parents were seen ended; only without the rule that makes it one with the take */
bool is_running[WORKERS * PROCESSORS * SHARDS];  /* taken */
bool has_children[WORKERS * PROCESSORS * SHARDS]; /* step 1 was answered */

#define BIT(p) (1 << (p))
#ifdef OLD_POD
#define KNOWS(w, p) (w == 2 || p == 0)
#else
#define KNOWS(w, p) true
#endif
#define IS_REGISTERED(p) ((registered & BIT(p)) != 0)
#define HAS_LEASE(s) (leases[s].state != MISSING)
#define IS_ENDED_FOR(p, s) (progress[AT(p, s)] == END)
#ifdef MERGE
#define HAS_ALL_PARENTS (HAS_LEASE(0) && HAS_LEASE(1))
#define PARENT_LEASES_ENDED (leases[0].state == ENDED && leases[1].state == ENDED)
/* One that has no lease is not known, so it is not waited for. */
#define PARENTS_ENDED(p) ((!HAS_LEASE(0) || IS_ENDED_FOR(p, 0)) && (!HAS_LEASE(1) || IS_ENDED_FOR(p, 1)))
#define PARENTS_REALLY_ENDED(p) (IS_ENDED_FOR(p, 0) && IS_ENDED_FOR(p, 1))
#else
#define HAS_ALL_PARENTS HAS_LEASE(0)
#define PARENT_LEASES_ENDED (leases[0].state == ENDED)
#define PARENTS_ENDED(p) (!HAS_LEASE(0) || IS_ENDED_FOR(p, 0))
#define PARENTS_REALLY_ENDED(p) IS_ENDED_FOR(p, 0)
#endif
#ifdef WITHOUT_MERGE_BOTH
#define MAY_MAKE_CHILD true
#else
#define MAY_MAKE_CHILD HAS_ALL_PARENTS
#endif
#ifdef WITHOUT_CHILDREN_FIRST
#define CHILDREN_FIRST true
#else
#define CHILDREN_FIRST (s == LAST || has_children[WHO(me, p, s)])
#endif
#ifdef WITHOUT_PARENTS
#define MAY_START true
#else
#define MAY_START (s != LAST || PARENTS_ENDED(p))
#endif
/* All who are registered; or all that this worker knows. */
#ifdef WITHOUT_REGISTERED
#define WANTED(w) (KNOWS(w, 1) -> registered : (registered & 1))
#else
#define WANTED(w) registered
#endif
/* After a restore only: else the rule would do the work of others. */
#define MAY_REOPEN (RESTORES > 0 && restores == 0)
#define MINE(s) (leases[s].state == ACTIVE && leases[s].owner == me)

inline end_lease(s, wanted)
{
    leases[s].ended_by = leases[s].ended_by | BIT(p);
    if
    :: (wanted & ~leases[s].ended_by) == 0 -> leases[s].state = ENDED; leases[s].owner = NOBODY
    :: else
    fi
}

/* One processor's consumer of one shard in one worker. */
proctype consumer(byte me; byte p; byte s)
{
    byte wanted;

end:
    do
#ifdef WITHOUT_PARENTS_IN_TAKE
    :: d_step { MINE(s) && IS_REGISTERED(p) && !is_checked[WHO(me, p, s)] && MAY_START -> is_checked[WHO(me, p, s)] = true }
    :: d_step { MINE(s) && is_checked[WHO(me, p, s)] && !is_running[WHO(me, p, s)] && progress[AT(p, s)] != END ->
        is_running[WHO(me, p, s)] = true }
#else
    :: d_step { MINE(s) && IS_REGISTERED(p) && !is_running[WHO(me, p, s)] && progress[AT(p, s)] != END && MAY_START ->
        is_running[WHO(me, p, s)] = true }
#endif
    :: d_step { is_running[WHO(me, p, s)] && progress[AT(p, s)] == BEGIN ->
        is_parent_first = s != LAST || PARENTS_REALLY_ENDED(p);
        assert(is_parent_first); /* parents first */
        progress[AT(p, s)] = DONE }
    /* 1 */
    :: d_step { is_running[WHO(me, p, s)] && MINE(s) && progress[AT(p, s)] == DONE && s != LAST && !has_children[WHO(me, p, s)] ->
        has_children[WHO(me, p, s)] = true;
        if
        :: MAY_MAKE_CHILD && leases[LAST].state == MISSING -> leases[LAST].state = ACTIVE
        :: else
        fi }
    /* 2 */
    :: d_step { is_running[WHO(me, p, s)] && progress[AT(p, s)] == DONE && CHILDREN_FIRST ->
        progress[AT(p, s)] = END; is_running[WHO(me, p, s)] = false }
    /* 3: also by who finds END when it takes. */
#ifdef WITHOUT_STREAM_LOCK
    :: d_step { MINE(s) && wanted == 0 && progress[AT(p, s)] == END && (leases[s].ended_by & BIT(p)) == 0 -> wanted = WANTED(me) }
    :: d_step { MINE(s) && wanted != 0 -> end_lease(s, wanted); wanted = 0 }
#else
    :: d_step { MINE(s) && progress[AT(p, s)] == END && (leases[s].ended_by & BIT(p)) == 0 -> wanted = WANTED(me);
        end_lease(s, wanted); wanted = 0 }
#endif
    od
}

/* An owner who does not know all who have yet to end it: it goes to one who does (also when all is done but step 3). */
#ifdef WITHOUT_KNOWING_OWNER
#define IS_USELESS(w, s) false
#else
#define IS_USELESS(w, s) (!KNOWS(w, 1) && IS_REGISTERED(1) && (leases[s].ended_by & BIT(1)) == 0 && IS_ENDED_FOR(0, s))
#endif

inline forget(w, s)
{
    for (i : 0 .. PROCESSORS - 1) {
        is_checked[WHO(w, i, s)] = false;
        is_running[WHO(w, i, s)] = false;
        has_children[WHO(w, i, s)] = false
    }
    i = 0
}

/* Of each shard; so that it rests when there is nothing to do. */
proctype pass(byte s)
{
    byte i;

end:
    do
    :: d_step { leases[s].state == ACTIVE && leases[s].owner == NOBODY -> leases[s].owner = 1 }
    :: d_step { leases[s].state == ACTIVE && leases[s].owner == NOBODY -> leases[s].owner = 2 }
    :: d_step { leases[s].state == ACTIVE && leases[s].owner == 1 && IS_USELESS(1, s) -> forget(1, s); leases[s].owner = 2 }
#ifndef WITHOUT_REOPEN
    /* Somebody finds an ended lease with progress below END. */
    :: d_step { leases[s].state == ENDED && ((IS_REGISTERED(0) && !IS_ENDED_FOR(0, s)) || (IS_REGISTERED(1) && !IS_ENDED_FOR(1, s))) && MAY_REOPEN ->
        leases[s].state = ACTIVE; leases[s].ended_by = 0 }
#endif
    od
}

/* The sync: a listed parent that has no lease gets one; a child whose parents all have one, of which one has ended, too. */
proctype sync()
{
#ifdef MERGE
    d_step { leases[1].state == MISSING -> leases[1].state = ACTIVE };
#endif
end:
    do
#ifndef WITHOUT_SYNC
    :: d_step { leases[LAST].state == MISSING && HAS_ALL_PARENTS && PARENT_LEASES_ENDED -> leases[LAST].state = ACTIVE }
#endif
    :: false
    od
}

proctype trouble()
{
    byte s, i;

end:
    do
    /* A worker dies: its leases are everybody's, and what it knew is gone. */
    :: atomic { crashes > 0 -> crashes--;
        for (s : 0 .. LAST) {
            if
            :: leases[s].owner == 1 -> forget(1, s); leases[s].owner = NOBODY
            :: else
            fi
        }; s = 0 }
    :: atomic { crashes > 0 -> crashes--;
        for (s : 0 .. LAST) {
            if
            :: leases[s].owner == 2 -> forget(2, s); leases[s].owner = NOBODY
            :: else
            fi
        }; s = 0 }
#if RESTORES > 0
    :: d_step { restores > 0 && !is_kept -> is_kept = true;
        for (i : 0 .. PROCESSORS * SHARDS - 1) { kept[i] = progress[i] };
        i = 0 }
    /* Every consumer is fenced at its next commit: what it knew is of another history. */
    :: d_step { is_kept && restores > 0 -> is_kept = false; restores--;
        for (i : 0 .. PROCESSORS * SHARDS - 1) { progress[i] = kept[i]; kept[i] = 0 }
#ifdef WITHOUT_PARENTS_IN_TAKE
        for (i : 0 .. WORKERS * PROCESSORS * SHARDS - 1) { is_running[i] = false; has_children[i] = false }
#else
        for (i : 0 .. WORKERS * PROCESSORS * SHARDS - 1) { is_running[i] = false; has_children[i] = false; is_checked[i] = false }
#endif
        i = 0 }
#endif
    /* A new processor meets the stream: behind the lock, with what it needs of leases that have ended. */
    :: d_step { registers > 0 -> registers--; registered = registered | BIT(1);
#ifndef WITHOUT_MEET_REOPENS
        for (s : 0 .. LAST) {
            if
            :: leases[s].state == ENDED && (leases[s].ended_by & BIT(1)) == 0 -> leases[s].state = ACTIVE
            :: else
            fi
        }; s = 0
#endif
        }
    od
}

#define ALL_ENDED(s) (leases[s].state == ENDED && (!IS_REGISTERED(0) || IS_ENDED_FOR(0, s)) && (!IS_REGISTERED(1) || IS_ENDED_FOR(1, s)))

active proctype quiet()
{
    timeout -> is_orphaned = !(ALL_ENDED(0) && ALL_ENDED(LAST));
    assert(!is_orphaned); /* no orphan */
#ifdef MERGE
    is_orphaned = !ALL_ENDED(1);
    assert(!is_orphaned) /* no orphan */
#endif
}

init {
    byte w, p, s;

    atomic {
        for (s : 0 .. LAST) { leases[s].state = MISSING }
        leases[0].state = ACTIVE;
        registered = (REGISTERS > 0 -> 1 : 3);
        for (w : 1 .. WORKERS) {
            for (p : 0 .. PROCESSORS - 1) {
                for (s : 0 .. LAST) {
                    if
                    :: KNOWS(w, p) -> run consumer(w, p, s)
                    :: else
                    fi
                }
            }
        }
        w = 0; p = 0; s = 0;
        for (s : 0 .. LAST) { run pass(s) }
        s = 0;
        run sync();
        run trouble()
    }
}
