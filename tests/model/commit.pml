/*
 * Take, fence and commit of one shard (docs/protocol.md §3, 4), under moves of its lease at any moment.
 *
 * Freezing needs no action of its own: any process may rest between any two steps for as long as the others like, also with a
 * COMMIT in its socket; what lies in a socket is run by the server when the server likes, or never. Lost history is a copy of
 * the state at any moment (`kept`) that comes back at any later one.
 *
 * The table holds exactly the records 1 … row.at. A flush (from, to] that is applied there writes something twice if
 * from < at, and skips something for ever if from > at: exactly once and in order is `from == at`, at each commit.
 *
 * Budgets (-D): WORKERS RECORDS MOVES REWINDS LOSSES STOPS REFUSALS TARGET_FAILOVERS LEASE_FAILOVERS; LEASE_AWAY, TAIL.
 * Each -DWITHOUT_… takes a rule away: see docs/leases.md.
 */
#include "bounds.pml"

mtype = { NONE, TAKE, FLUSH, CHECKED, OPEN, RESOLVE,                          /* in a socket, to the server */
          TAKEN, AHEAD, DONE, FENCED, REFUSED, BUSY, BROKEN, THERE, AGAIN, OTHERS,  /* … and back */
          READY, SENT, PARKED, UNKNOWN, ASKED }                               /* a flight */

#define SLOTS (WORKERS + LOSSES) /* each worker's connection, then those that were lost */
#define END (RECORDS + 1)        /* SHARD_END */
#define LIMIT 24                 /* more moves than that are a livelock, */
#define SEQ_LIMIT 40             /* and more takes (two each) and commits */
#define NOBODY 0
#define KILLED 1
#define FROZEN 2 /* for ever: the socket stays open */

/* ---- the lease database: one row ---- */
typedef lease_row {
    byte owner, counter;
}
lease_row lease, lease_kept;
bool is_lease_kept, is_lease_away;

/* ---- the target: the progress row, and what the table holds ---- */
typedef progress_row {
    byte counter, owner, seq, at;
    byte first_counter, first_owner; /* ghost: the highest counter that took, and who came first with it */
    bool tail;                       /* the rows of shard_end are in the table */
    byte flush_by, flush_generation, flush_seq; /* ghost: of the last commit (IDENTITY) */
}
progress_row row, kept, none;
bool is_kept;
byte locked; /* 1 + the slot whose transaction holds the row */

typedef socket {
    mtype kind;
    byte by, counter, seq, from, to, generation;
    bool tail, is_whole; /* is_whole: its COMMIT has been sent, too */
}
socket sockets[SLOTS];

byte stopped[WORKERS + 1];
bool is_cut[WORKERS + 1]; /* its connection to the target broke, and it has not seen that yet */
byte moves = MOVES, rewinds = REWINDS, losses = LOSSES, stops = STOPS, refusals = REFUSALS,
     target_failovers = TARGET_FAILOVERS, lease_failovers = LEASE_FAILOVERS;
bool no_more_failures = (STOPS + TARGET_FAILOVERS + LEASE_FAILOVERS + LEASE_AWAY == 0);

#define IS_OVER (no_more_failures && row.at == END)

/* ---- the server: one backend for each connection --------------------------------------------- */

/* What is not needed any more is zero everywhere, so that states that are the same look the same. */
inline clear(slot)
{
    sockets[slot].kind = NONE;
    sockets[slot].by = 0;
    sockets[slot].counter = 0;
    sockets[slot].seq = 0;
    sockets[slot].from = 0;
    sockets[slot].to = 0;
    sockets[slot].generation = 0;
    sockets[slot].tail = false;
    sockets[slot].is_whole = false
}

inline answer(slot, what)
{
    clear(slot);
    if
    :: slot < WORKERS -> sockets[slot].kind = what
    :: else
    fi
}

#define IS_GONE(s) (s >= WORKERS || stopped[sockets[s].by] == KILLED)
#define S sockets[slot]

#ifdef WITHOUT_FENCE_COUNTER
#define FENCE_COUNTER true
#else
#define FENCE_COUNTER (row.counter == S.counter)
#endif
#ifdef WITHOUT_FENCE_OWNER
#define FENCE_OWNER true
#else
#define FENCE_OWNER (row.owner == S.by)
#endif
#ifdef WITHOUT_FENCE_SEQ
#define FENCE_SEQ true
#else
#define FENCE_SEQ (row.seq == S.seq)
#endif
#define FENCE (FENCE_COUNTER && FENCE_OWNER && FENCE_SEQ)

#ifdef WITHOUT_TAKE_COUNTER
#define TAKE_NEWER (row.counter != S.counter)
#else
#define TAKE_NEWER (row.counter < S.counter)
#endif
#ifdef WITHOUT_TAKE_OWNER
#define TAKE_SAME (row.counter == S.counter)
#else
#ifdef WITHOUT_TAKE_AGAIN
#define TAKE_SAME false
#else
#define TAKE_SAME (row.counter == S.counter && row.owner == S.by)
#endif
#endif

#define ONE_OWNER (S.counter == row.first_counter && S.by == row.first_owner)

inline run_take()
{
    if
    :: TAKE_NEWER || TAKE_SAME ->
        row.counter = S.counter;
        row.owner = S.by;
#ifndef WITHOUT_TAKE_SEEN
        if /* never a number that this worker has seen */
        :: S.seq > row.seq -> row.seq = S.seq
        :: else
        fi;
#endif
#ifndef WITHOUT_TAKE_SEQ
        row.seq++;
#ifndef WITHOUT_TAKE_TWO
        row.seq++; /* one is a commit */
#endif
#endif
        assert(row.seq < SEQ_LIMIT);
        if
        :: S.counter > row.first_counter ->
            row.first_counter = S.counter;
            row.first_owner = S.by
        :: else
        fi;
        assert(ONE_OWNER);
        answer(slot, TAKEN);
        if
        :: slot < WORKERS -> S.seq = row.seq; S.from = row.at; S.tail = row.tail
        :: else
        fi
    :: else ->
        answer(slot, AHEAD);
        if
        :: slot < WORKERS -> S.counter = row.counter
        :: else
        fi
    fi
}

inline apply()
{
    assert(S.from == row.at); /* exactly once, in order */
    assert(ONE_OWNER);
#ifdef TAIL
    assert(!(S.tail && row.tail));
    row.tail = row.tail || S.tail;
    assert(S.to != END || row.tail);
#endif
#ifdef IDENTITY
    row.flush_by = S.by;
    row.flush_generation = S.generation;
    row.flush_seq = S.seq;
#endif
    row.at = S.to;
    row.seq++
}

#ifdef WITHOUT_RESOLVE_OWNER
#define RESOLVE_OWNER true
#else
#define RESOLVE_OWNER (row.counter == S.counter && row.owner == S.by)
#endif
#ifdef WITHOUT_RESOLVE_SEQ
#define RESOLVE_SEQ true
#else
#define RESOLVE_SEQ (row.seq == S.seq + 1)
#endif
#ifdef WITHOUT_RESOLVE_CHECKPOINT
#define RESOLVE_CHECKPOINT true
#else
#define RESOLVE_CHECKPOINT (row.at == S.to)
#endif

inline run_resolve()
{
    if
    :: RESOLVE_OWNER && RESOLVE_SEQ && RESOLVE_CHECKPOINT ->
#ifdef IDENTITY
        assert(row.flush_by == S.by && row.flush_generation == S.generation && row.flush_seq == S.seq); /* it is this very flush */
#endif
        answer(slot, THERE)
    :: else ->
        if
        :: RESOLVE_OWNER && row.seq == S.seq ->
            assert(locked == 0); /* nobody is about to make it untrue */
            answer(slot, AGAIN)
        :: else -> answer(slot, OTHERS)
        fi
    fi
}

proctype backend(byte slot)
{
    do
    :: IS_OVER -> break
    :: d_step { S.kind == TAKE && locked == 0 -> run_take() }
#ifdef WITHOUT_TAKE_LOCKED
    /* A locked row with a counter like ours, or above it, counts as ahead. */
    :: d_step { S.kind == TAKE && locked != 0 && row.counter >= S.counter -> answer(slot, AHEAD);
        if
        :: slot < WORKERS -> S.counter = row.counter
        :: else
        fi }
    :: d_step { S.kind == TAKE && locked != 0 && row.counter < S.counter -> answer((locked - 1), BROKEN); locked = 0 }
#elif defined(TRANSACTIONS) && !defined(WITHOUT_TAKE_TERMINATES)
    :: d_step { S.kind == TAKE && locked != 0 -> answer((locked - 1), BROKEN); locked = 0 }
#endif
#ifdef WITHOUT_FENCE_AFTER_LOCK
    :: d_step { S.kind == FLUSH -> if :: FENCE -> S.kind = CHECKED :: else -> answer(slot, FENCED) fi }
    :: d_step { S.kind == CHECKED && locked == 0 -> S.kind = OPEN; locked = slot + 1 }
#else
#ifdef TRANSACTIONS
    :: d_step { S.kind == FLUSH && locked == 0 ->
        if
        :: FENCE -> S.kind = OPEN; locked = slot + 1
        :: else -> answer(slot, FENCED)
        fi }
#else
    :: d_step { S.kind == FLUSH && S.is_whole ->
        if
        :: FENCE -> apply(); answer(slot, DONE)
        :: else -> answer(slot, FENCED)
        fi }
#endif
#endif
#ifdef TRANSACTIONS
    :: d_step { S.kind == OPEN && S.is_whole -> apply(); locked = 0; answer(slot, DONE) }
#endif
#if defined(TRANSACTIONS) && !defined(WITHOUT_LOCK_TIMEOUT)
    :: d_step { S.kind == FLUSH && locked != 0 -> answer(slot, BUSY) }
    :: d_step { S.kind == RESOLVE && locked != 0 -> answer(slot, BUSY) }
#endif
#if REFUSALS > 0
    /* A row that the target refuses, or a moment's trouble: rolled back. */
    :: d_step { S.kind == FLUSH && S.is_whole && refusals > 0 && FENCE -> refusals--; answer(slot, REFUSED) }
    :: d_step { S.kind == FLUSH && S.is_whole && refusals > 0 && FENCE -> refusals--; answer(slot, BUSY) }
#endif
#if defined(WITHOUT_RESOLVE_LOCK)
    :: d_step { S.kind == RESOLVE -> run_resolve() }
#else
    :: d_step { S.kind == RESOLVE && locked == 0 -> run_resolve() }
#endif
    /* The client is gone: what is whole may be run all the same, or never. */
    :: d_step { IS_GONE(slot) && S.kind != NONE -> clear(slot);
        if
        :: locked == slot + 1 -> locked = 0
        :: else
        fi }
    od
}

/* ---- a worker: a consumer and its committer -------------------------------------------------- */

#define IS_UP (!stopped[me])
#define MINE sockets[me - 1]
#define IS_IDLE (MINE.kind == NONE)

/* Everything that is not committed is forgotten; what flies, or is asked, belongs to an older generation. */
inline rewind()
{
    is_running = false;
    wants_take = true;
    is_refused = false;
    has_mail = false;
    seq = 0;
    at = 0;
    from = 0;
    to = 0;
    tail = false;
    has_tailed = false;
    is_take_stale = is_taking;
    is_stale = flight != NONE;
#ifdef IDENTITY
    generation++
#endif
}

inline send_flush()
{
    MINE.kind = FLUSH;
    MINE.by = me;
    MINE.counter = flight_counter;
    MINE.seq = flight_seq;
    MINE.from = flight_from;
    MINE.to = flight_to;
    MINE.tail = flight_tail;
#ifdef IDENTITY
    MINE.generation = flight_generation;
#endif
    flight = SENT
}

inline lift()
{
    flight = READY;
    flight_from = from;
    flight_to = to;
    flight_seq = seq;
    flight_counter = counter;
    flight_tail = tail;
    flight_generation = generation;
    from = 0;
    to = 0;
    tail = false
}

inline land()
{
    flight = NONE;
    flight_counter = 0;
    flight_seq = 0;
    flight_from = 0;
    flight_to = 0;
    flight_tail = false;
    flight_generation = 0;
    is_overtaken = false
}

/* It did not get in: the consumer will hear of it, by a message. */
inline refuse()
{
    land();
    if
    :: is_stale -> is_stale = false
    :: else -> is_refused = true; has_mail = true
    fi
}

inline committed()
{
    if
    :: is_stale -> is_stale = false
    :: else -> seq = flight_seq + 1; top = seq
    fi;
    land()
}

#ifdef WITHOUT_REFUSED_GENERATION
#define MAY_LIFT true
#else
#define MAY_LIFT (!is_refused)
#endif
#ifdef WITHOUT_GENERATION
#define MAY_SEND true
#define MAY_ASK true
#else
#define MAY_SEND (!is_stale)
#define MAY_ASK (!is_overtaken)
#endif
#ifdef TAIL
#define LAST_RECORD (RECORDS + 1) /* one more step: shard_end's rows, at the last record's position */
#else
#define LAST_RECORD RECORDS
#endif

proctype worker(byte me)
{
    byte counter, seq;                                           /* of the lease; of the last take or commit */
    byte at, from, to;                                           /* processed; filling: (from, to] */
    byte flight_counter, flight_seq, flight_from, flight_to;
    byte top;
    byte generation, flight_generation; /* IDENTITY */
    bool tail, has_tailed, flight_tail;
    mtype flight = NONE;
    bool is_running, wants_take, is_taking, is_take_stale, is_stale, is_overtaken, is_refused, has_mail;

    do
    :: !IS_UP || IS_OVER -> break

    /* The lease is read, sooner or later. */
    :: d_step { IS_UP && !is_lease_away && lease.owner == me && lease.counter != counter ->
        counter = lease.counter; rewind() }
    :: d_step { IS_UP && !is_lease_away && lease.owner != me && counter != 0 ->
        rewind(); counter = 0; wants_take = false }
    :: d_step { IS_UP && has_mail && counter != 0 -> rewind() }
#if TARGET_FAILOVERS > 0 && !defined(WITHOUT_RECONNECT)
    /* What was told to be committed may be lost with the old primary, also where nothing new comes. */
    :: d_step { IS_UP && is_cut[me] -> is_cut[me] = false;
        if
        :: counter != 0 -> rewind()
        :: else
        fi }
#endif
    :: d_step { IS_UP && rewinds > 0 && counter != 0 && lease.owner == me -> rewinds--; rewind() }

    /* Take. */
    :: d_step { IS_UP && wants_take && IS_IDLE && flight != SENT && flight != ASKED ->
        wants_take = false; is_taking = true; is_take_stale = false;
        is_overtaken = flight != NONE;
        MINE.kind = TAKE; MINE.by = me; MINE.counter = counter; MINE.seq = top }
    :: d_step { IS_UP && MINE.kind == TAKEN && is_taking ->
        is_taking = false;
        if
#ifndef WITHOUT_TAKE_GENERATION
        :: is_take_stale
#endif
        :: else ->
            is_running = counter != 0; seq = MINE.seq; top = MINE.seq; at = MINE.from; has_tailed = MINE.tail
        fi;
        is_take_stale = false; clear(me - 1) }
    :: d_step { IS_UP && MINE.kind == AHEAD && is_taking && (is_take_stale || !is_lease_away) ->
        is_taking = false;
        if
        :: is_take_stale
#ifndef WITHOUT_RAISE
#ifdef WITHOUT_RAISE_OWNER
        :: !is_take_stale ->
#else
        :: !is_take_stale && lease.owner == me ->
#endif
            if
            :: lease.counter <= MINE.counter -> lease.counter = MINE.counter + 1
            :: else
            fi;
            counter = lease.counter; rewind()
#else
        :: !is_take_stale && lease.owner == me -> wants_take = false
#endif
        :: else -> rewind(); counter = 0; wants_take = false
        fi;
        is_take_stale = false; clear(me - 1) }
    :: d_step { IS_UP && MINE.kind == BROKEN && is_taking ->
        is_taking = false; is_take_stale = false; wants_take = counter != 0; clear(me - 1) }

    /* Process: an epoch of one record, or of what shard_end emits, or the shard's end. */
    :: d_step { IS_UP && is_running && at < END ->
        if
        :: from == to && !tail -> from = at; to = at
        :: else -> assert(to == at)
        fi;
#ifdef TAIL
        if
        :: at == RECORDS && !has_tailed -> tail = true; has_tailed = true
        :: else -> at++
        fi;
#else
        at++;
#endif
        to = at }

    /* Flush. */
    :: d_step { IS_UP && flight == NONE && (from != to || tail) && MAY_LIFT ->
        is_stale = false; is_overtaken = false; lift() }
#ifdef WITHOUT_ONE_FLIGHT
    /* The next one goes although this one is parked, which comes back (or not) behind it. */
    :: d_step { IS_UP && flight == PARKED && (from != to || tail) && MAY_LIFT ->
        lift() }
#endif
    :: d_step { IS_UP && (flight == READY || flight == PARKED) && MAY_SEND && IS_IDLE ->
        send_flush(); MINE.is_whole = true }
#ifdef TRANSACTIONS
    /* Its COMMIT later, or never. */
    :: d_step { IS_UP && (flight == READY || flight == PARKED) && MAY_SEND && IS_IDLE -> send_flush() }
#endif
    :: d_step { IS_UP && flight == SENT && !MINE.is_whole && (MINE.kind == FLUSH || MINE.kind == CHECKED || MINE.kind == OPEN) ->
        MINE.is_whole = true }
    :: d_step { IS_UP && is_stale && (flight == READY || flight == PARKED || flight == UNKNOWN) -> is_stale = false; land() }
    :: d_step { IS_UP && MINE.kind == DONE -> clear(me - 1); committed() }
    :: d_step { IS_UP && MINE.kind == REFUSED -> clear(me - 1); refuse() }
    :: d_step { IS_UP && MINE.kind == BUSY && flight == SENT -> clear(me - 1); flight = PARKED }
    :: d_step { IS_UP && ((MINE.kind == BUSY && flight == ASKED) || (MINE.kind == BROKEN && !is_taking)) -> clear(me - 1); flight = UNKNOWN }

    /* Resolve: after an unknown outcome, and after a fence, which may be this flush's own first sending. */
    :: d_step { IS_UP && MINE.kind == FENCED -> clear(me - 1); flight = UNKNOWN }
#ifdef WITHOUT_RESOLVE
    :: d_step { IS_UP && flight == UNKNOWN && !is_stale -> committed() }
#else
    :: d_step { IS_UP && flight == UNKNOWN && MAY_ASK && IS_IDLE ->
        send_flush(); MINE.kind = RESOLVE; MINE.is_whole = false; flight = ASKED }
#endif
    :: d_step { IS_UP && MINE.kind == THERE -> clear(me - 1); committed() }
    :: d_step { IS_UP && MINE.kind == AGAIN ->
#ifdef WITHOUT_IDENTICAL
        /* … with what has become ready meanwhile. */
        if
        :: !is_stale && (from != to || tail) ->
            flight_to = to; flight_tail = flight_tail || tail; from = 0; to = 0; tail = false
        :: else
        fi;
#endif
        send_flush(); MINE.is_whole = true }
    :: d_step { IS_UP && MINE.kind == OTHERS -> clear(me - 1); refuse() }

#if LOSSES > 0
    /* The connection is lost; what it carried stays on its way. */
    :: d_step { IS_UP && losses > 0 && MINE.kind != NONE -> losses--;
        if
        :: MINE.kind == TAKE || MINE.kind == FLUSH || MINE.kind == CHECKED || MINE.kind == OPEN ->
            sockets[WORKERS + losses].kind = MINE.kind;
            sockets[WORKERS + losses].by = me;
            sockets[WORKERS + losses].counter = MINE.counter;
            sockets[WORKERS + losses].seq = MINE.seq;
            sockets[WORKERS + losses].from = MINE.from;
            sockets[WORKERS + losses].to = MINE.to;
            sockets[WORKERS + losses].generation = MINE.generation;
            sockets[WORKERS + losses].tail = MINE.tail;
            sockets[WORKERS + losses].is_whole = MINE.is_whole;
            if
            :: locked == me -> locked = WORKERS + losses + 1
            :: else
            fi
        :: else
        fi;
        clear(me - 1);
        if
        :: is_taking -> is_taking = false; is_take_stale = false; wants_take = counter != 0
        :: else -> flight = UNKNOWN
        fi }
#endif
    od
}

/* ---- the world ------------------------------------------------------------------------------- */

inline copy(to_row, from_row)
{
    to_row.counter = from_row.counter;
    to_row.owner = from_row.owner;
    to_row.seq = from_row.seq;
    to_row.at = from_row.at;
    to_row.first_counter = from_row.first_counter;
    to_row.first_owner = from_row.first_owner;
    to_row.tail = from_row.tail;
    to_row.flush_by = from_row.flush_by;
    to_row.flush_generation = from_row.flush_generation;
    to_row.flush_seq = from_row.flush_seq
}

inline assign(to_whom)
{
    lease.owner = to_whom;
    lease.counter++;
    assert(lease.counter < LIMIT)
}

proctype pass()
{
    byte w;

    do
    :: IS_OVER -> break
    :: atomic { !is_lease_away && (lease.owner == NOBODY || stopped[lease.owner]) ->
        select(w : 1 .. WORKERS);
        if
        :: !stopped[w] -> assign(w)
        :: else
        fi; w = 0 }
    /* Judged wrongly, forced, handed over, fenced by hand: at any moment. */
    :: atomic { moves > 0 && lease.owner != NOBODY && !is_lease_away -> moves--;
        select(w : 1 .. WORKERS);
        if
        :: !stopped[w] && w != lease.owner -> assign(w)
        :: else
        fi; w = 0 }
    od
}

proctype trouble()
{
    byte i;

    do
    :: no_more_failures = true; break
    :: atomic { stops > 0 -> stops--; select(i : 1 .. WORKERS);
        if
        :: stopped[i] = KILLED
        :: stopped[i] = FROZEN
        fi; i = 0 }
#if TARGET_FAILOVERS > 0
    :: d_step { target_failovers > 0 && !is_kept ->
        copy(kept, row); is_kept = true }
    :: d_step { is_kept ->
        copy(row, kept); copy(kept, none); is_kept = false;
        target_failovers--; locked = 0;
        /* Every connection breaks, and what was in it is gone. */
        for (i : 1 .. WORKERS) { is_cut[i] = true }
        for (i : 0 .. SLOTS - 1) {
            if
            :: i >= WORKERS -> clear(i)
            :: i < WORKERS && sockets[i].kind != NONE -> clear(i); sockets[i].kind = BROKEN
            :: else
            fi
        }
        i = 0 }
#endif
#if LEASE_FAILOVERS > 0
    :: d_step { lease_failovers > 0 && !is_lease_kept ->
        lease_kept.owner = lease.owner; lease_kept.counter = lease.counter; is_lease_kept = true }
    :: d_step { is_lease_kept -> lease.owner = lease_kept.owner; lease.counter = lease_kept.counter;
        lease_kept.owner = 0; lease_kept.counter = 0; is_lease_kept = false; lease_failovers-- }
#endif
#if LEASE_AWAY > 0
    :: d_step { !is_lease_away && row.owner != NOBODY && row.counter == lease.counter -> is_lease_away = true }
#endif
    od
}

init {
    byte i;
    atomic {
        for (i : 0 .. SLOTS - 1) { sockets[i].kind = NONE }
        for (i : 1 .. WORKERS) { run worker(i) }
        for (i : 0 .. SLOTS - 1) { run backend(i) }
        run pass();
        if
        :: !no_more_failures -> run trouble()
        :: else
        fi;
        i = 0
    }
}

ltl all_done { <> (row.at == END && no_more_failures) }
