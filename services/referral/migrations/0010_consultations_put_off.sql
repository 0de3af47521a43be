-- A consultation whose reminder meets a defect is looked at again later, and holds up no other one.
ALTER TABLE consultation ADD COLUMN put_off_until timestamptz;
COMMENT ON COLUMN consultation.put_off_until IS
    'After a defect: no reminder of this consultation is tried before this moment';
