-- A case and a referral change a few times soon after they begin. With room left on the page the
-- new version stays there, and no index gets another entry.
ALTER TABLE case_status SET (fillfactor = 50);
ALTER TABLE referral SET (fillfactor = 50);
