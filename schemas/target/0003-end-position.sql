-- SHARD_END stands where the last position was: kept beside it, a shard that ended by mistake can be read on from there.

ALTER TABLE leat.progress
    ADD COLUMN end_checkpoint text COLLATE "C",
    ADD COLUMN end_sub_sequence bigint;
COMMENT ON COLUMN leat.progress.end_checkpoint IS 'at SHARD_END: the checkpoint before it; null: not known';
COMMENT ON COLUMN leat.progress.end_sub_sequence IS 'at SHARD_END: the sub-sequence number that belongs to end_checkpoint';

-- Whoever moves progress away from its end, be it a leat that does not know these columns, or a person: a later end is another one,
-- and must not be taken for this one.
CREATE FUNCTION leat.forget_end_position() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.end_checkpoint := NULL;
    NEW.end_sub_sequence := NULL;
    RETURN NEW;
END $$;

CREATE TRIGGER forget_end_position BEFORE UPDATE ON leat.progress
    FOR EACH ROW WHEN (OLD.checkpoint = 'SHARD_END' AND NEW.checkpoint <> 'SHARD_END')
    EXECUTE FUNCTION leat.forget_end_position();
