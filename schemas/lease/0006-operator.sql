-- What an operator asks and does: the moves of leases, workers that are to get none, what workers report when they are asked.

-- One row for each move, written by the statement that moves; the pass's holder keeps it short (lib/lease/history.c).
CREATE TABLE leat.lease_moves (
    move bigint GENERATED ALWAYS AS IDENTITY,
    application text COLLATE "C" NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stream_id text COLLATE "C" NOT NULL,
    shard text COLLATE "C" NOT NULL,
    from_worker text COLLATE "C", -- ids of workers; NULL: nobody
    to_worker text COLLATE "C",
    lease_counter bigint NOT NULL, -- after it
    why text NOT NULL,
    PRIMARY KEY (application, move)
);
COMMENT ON COLUMN leat.lease_moves.why IS
    'assigned | handed over | forced | dead owner | released | ended | re-opened | raised | operator';

-- Set by an operator: state is 'leaving' and stays so, also when the worker comes back as a new incarnation; a new process of
-- that id begins anew.
ALTER TABLE leat.workers ADD COLUMN drained_at timestamptz;

-- What workers know of their shards, for a person who looks: asked for by raising report_wanted_at, which they see with their
-- heartbeat. Nothing is written while nobody looks. A table of its own: a heartbeat must not carry it along.
ALTER TABLE leat.applications ADD COLUMN report_wanted_at timestamptz;
CREATE TABLE leat.reports (
    application text COLLATE "C" NOT NULL,
    worker_id text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    reported_at timestamptz NOT NULL,
    report json NOT NULL,
    PRIMARY KEY (application, worker_id),
    FOREIGN KEY (application, worker_id) REFERENCES leat.workers ON DELETE CASCADE
);
COMMENT ON COLUMN leat.reports.report IS
    '{"processor": {"stream_id": {"shard": [behind_ms or null, "state", "reason"]}}}: all of its processors, also without shards';
