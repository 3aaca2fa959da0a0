-- Since when it is known that the shard of an ended lease has left its stream: what can go goes after a grace (lib/lease/garbage.h).
ALTER TABLE leat.leases ADD COLUMN gone_at timestamptz;
