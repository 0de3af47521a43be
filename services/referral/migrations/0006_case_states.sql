-- What a case never does, whatever the code would try: see services/referral/case_states.py.

CREATE FUNCTION refuse_case_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'case_holder: a case is not changed like this'
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;

-- What was closed comes back to the desk, where people look first.
CREATE TRIGGER closed_case_returns_to_desk BEFORE UPDATE OF open ON case_holder
    FOR EACH ROW WHEN (NOT OLD.open AND NEW.open
        AND (NEW.holder <> 'vangnet' OR NEW.desk_reason IS NULL))
    EXECUTE FUNCTION refuse_case_change();

-- The first receipt counts for ever; what happened is not taken back.
CREATE TRIGGER case_keeps_what_happened BEFORE UPDATE ON case_holder
    FOR EACH ROW WHEN (NEW.first_received_at <> OLD.first_received_at
        OR NEW.opened_at <> OLD.opened_at OR NEW.report_id <> OLD.report_id
        OR NEW.handoff < OLD.handoff OR NEW.attempts < OLD.attempts
        OR NEW.returns < OLD.returns OR NEW.decision_number < OLD.decision_number
        OR (NEW.holder <> OLD.holder AND NEW.handoff = OLD.handoff))
    EXECUTE FUNCTION refuse_case_change();

-- Nobody is asked about a case that is closed.
CREATE FUNCTION refuse_request_of_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (SELECT open FROM case_holder WHERE case_id = NEW.case_id)
       AND EXISTS (SELECT FROM referral WHERE case_id = NEW.case_id AND status IN
                   ('requested', 'received', 'accepted', 'in-progress', 'on-hold')) THEN
        RAISE EXCEPTION 'referral: the case is closed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'closed_case_has_no_live_referral';
    END IF;
    RETURN NULL;
END $$;
-- Checked at the commit, because both rows change in one transaction.
CREATE CONSTRAINT TRIGGER closed_case_has_no_live_referral AFTER UPDATE OF open ON case_holder
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.open AND NOT NEW.open)
    EXECUTE FUNCTION refuse_request_of_closed();
