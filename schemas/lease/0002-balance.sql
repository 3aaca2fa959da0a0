-- What a pass must know of the passes before it, whoever made them: written together with moves, never by itself.

-- balanced_members, balanced_leases: who shared out what the last time, as hashes (lib/lease/assign_even.c): another value says
--   that somebody joined or died, that there are other leases. 0: never.
-- rebalances, rebalanced_at: changes for load's sake in a row, and the last of them: the next one waits the longer for it.
ALTER TABLE leat.applications
    ADD COLUMN balanced_members bigint NOT NULL DEFAULT 0,
    ADD COLUMN balanced_leases bigint NOT NULL DEFAULT 0,
    ADD COLUMN rebalances integer NOT NULL DEFAULT 0,
    ADD COLUMN rebalanced_at timestamptz;

COMMENT ON COLUMN leat.workers.loads IS
    'busy time of its shards, one byte each (lib/lease/loads.h); idle ones are left out; NULL: all are idle';
