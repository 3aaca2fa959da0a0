-- The lease database: applications, workers, leases, processors, streams. Every UPDATE carries its own condition.
--
--   leat.leases        the KCL's lease table
--   stream_id, shard   leaseKey (account:stream:creationEpoch:shardId)
--   lease_owner        leaseOwner, or checkpointOwner during a handoff: here always the actual owner
--   next_owner         leaseOwner during a handoff: only a wish
--   lease_counter      leaseCounter, but it grows only when the owner changes: the heartbeat is the worker's, not the lease's
--   (leat.progress)    checkpoint, checkpointSubSequenceNumber: in the target, committed with the rows
--   parents, children  parentShardId, childShardIds

CREATE TABLE leat.applications (
    application text COLLATE "C" PRIMARY KEY,
    assignment_version bigint NOT NULL DEFAULT 0,
    pass_by bigint,
    pass_at timestamptz,
    synced_at timestamptz
) WITH (fillfactor = 50);

CREATE TABLE leat.workers (
    application text COLLATE "C" NOT NULL,
    worker_id text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    state text NOT NULL DEFAULT 'alive' CHECK (state IN ('alive', 'leaving', 'dead')),
    heartbeat_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    session_key bigint,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    died_at timestamptz,
    host text NOT NULL DEFAULT '',
    pid integer NOT NULL DEFAULT 0,
    build text NOT NULL DEFAULT '',
    weight double precision NOT NULL DEFAULT 1,
    max_leases integer NOT NULL DEFAULT 0,
    loads bytea,
    PRIMARY KEY (application, worker_id)
) WITH (fillfactor = 25);

CREATE TABLE leat.leases (
    application text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    shard text COLLATE "C" NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'ended')),
    lease_owner bigint,
    next_owner bigint,
    lease_counter bigint NOT NULL DEFAULT 0,
    last_worker_id text COLLATE "C",
    handoff_at timestamptz,
    parents text[] COLLATE "C" NOT NULL DEFAULT '{}',
    children text[] COLLATE "C" NOT NULL DEFAULT '{}',
    starting_hash_key text NOT NULL DEFAULT '',
    ending_hash_key text NOT NULL DEFAULT '',
    ended_by text[] COLLATE "C" NOT NULL DEFAULT '{}',
    PRIMARY KEY (application, stream_id, shard)
) WITH (fillfactor = 50);

CREATE TABLE leat.processors (
    application text COLLATE "C" NOT NULL,
    processor text COLLATE "C" NOT NULL,
    target_id text NOT NULL,
    streams text[], -- names as configured; NULL: all
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'retired')),
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (application, processor)
);

CREATE TABLE leat.streams (
    application text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    arn text NOT NULL,
    retention_ms bigint NOT NULL DEFAULT 0,
    synced_at timestamptz,
    PRIMARY KEY (application, stream_id)
);

-- Where a processor begins in a stream: written once, when it first meets the stream, and never changed.
CREATE TABLE leat.starts (
    application text COLLATE "C" NOT NULL,
    processor text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    start text COLLATE "C" NOT NULL, -- TRIM_HORIZON | AT_TIMESTAMP:<µs>; LATEST is a time by the service's clock
    met_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (application, processor, stream_id)
);

-- The shards of that moment: those where it begins at its start, and those that lie before it. All others, also those that come
-- later, are descendants: from TRIM_HORIZON, behind their parents.
CREATE TABLE leat.start_shards (
    application text COLLATE "C" NOT NULL,
    processor text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    shard text COLLATE "C" NOT NULL,
    is_passed boolean NOT NULL, -- before its start: it neither reads this shard nor waits for it
    PRIMARY KEY (application, processor, stream_id, shard)
);
