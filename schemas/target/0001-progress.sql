-- The target's own tables: progress (the only checkpoint there is), the ledger of diverted records, and the fence.
-- Key columns are text COLLATE "C": locks are taken in the order of bytes, whatever the database's locale.

CREATE TABLE leat.target (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    one boolean NOT NULL DEFAULT true UNIQUE CHECK (one)
);
INSERT INTO leat.target DEFAULT VALUES;
COMMENT ON TABLE leat.target IS 'names this target: a processor that was committed to another one is refused';

-- No index beside the primary key and half-empty pages: every commit is an update in place (HOT).
CREATE TABLE leat.progress (
    application text COLLATE "C" NOT NULL,
    processor text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL DEFAULT '',
    stream_id text COLLATE "C" NOT NULL,
    shard text COLLATE "C" NOT NULL,
    lease_counter bigint NOT NULL,
    lease_owner bigint NOT NULL,
    checkpoint text COLLATE "C" NOT NULL,
    sub_sequence bigint NOT NULL DEFAULT -1,
    commit_seq bigint NOT NULL,
    saved_state bytea,
    takes integer NOT NULL,
    probe_sequence text COLLATE "C",
    probe_sub bigint,
    PRIMARY KEY (application, processor, tenant, stream_id, shard)
) WITH (fillfactor = 50);
COMMENT ON COLUMN leat.progress.checkpoint IS 'TRIM_HORIZON | AT_TIMESTAMP:<µs> | sequence number | SHARD_END';
COMMENT ON COLUMN leat.progress.sub_sequence IS 'the last one done inside the aggregate at checkpoint; -1: all of it';
COMMENT ON COLUMN leat.progress.takes IS 'counted up by each take, zeroed by each commit: three mean a crash loop';

CREATE TABLE leat.failures (
    dead_letter_id text COLLATE "C" PRIMARY KEY,
    application text COLLATE "C" NOT NULL,
    processor text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL DEFAULT '',
    stream_id text COLLATE "C" NOT NULL,
    shard text COLLATE "C" NOT NULL,
    sequence text COLLATE "C" NOT NULL,
    sub_sequence bigint NOT NULL,
    partition_key bytea NOT NULL,
    arrival_at timestamptz,
    data_bytes bigint NOT NULL,
    attempts integer NOT NULL,
    reason text NOT NULL,
    reason_text text NOT NULL,
    sqlstate text,
    archive_url text NOT NULL,
    dead_letter_position text,
    state text NOT NULL DEFAULT 'open',
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    times integer NOT NULL DEFAULT 1
);
CREATE INDEX failures_by_time ON leat.failures (application, processor, last_at);

-- Locks the progress rows in key order and raises LT001 unless every one of them exists with exactly this counter, owner
-- and commit number. The comparison stands above the locking subselect: as a WHERE it would be pushed below the locks
-- and see rows as they were before the wait.
CREATE FUNCTION leat.fence(p_application text, p_processor text, p_tenant text, p_streams text[], p_shards text[],
                           p_counters bigint[], p_commit_seqs bigint[], p_owner bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    good bigint;
BEGIN
    SELECT count(*) FILTER (WHERE locked.lease_counter = locked.wanted_counter AND locked.lease_owner = p_owner
                              AND locked.commit_seq = locked.wanted_seq)
      INTO good
      FROM (SELECT p.lease_counter, p.lease_owner, p.commit_seq, w.wanted_counter, w.wanted_seq
              FROM leat.progress p
              JOIN unnest(p_streams, p_shards, p_counters, p_commit_seqs)
                   AS w (stream_id, shard, wanted_counter, wanted_seq)
                ON p.application = p_application AND p.processor = p_processor AND p.tenant = p_tenant
               AND p.stream_id = w.stream_id AND p.shard = w.shard
             ORDER BY p.application, p.processor, p.tenant, p.stream_id, p.shard
               FOR UPDATE OF p) locked;
    IF good <> cardinality(p_shards) THEN
        RAISE EXCEPTION 'fenced: % of % shards are not as this commit expects', cardinality(p_shards) - good, cardinality(p_shards)
            USING ERRCODE = 'LT001';
    END IF;
END $$;
