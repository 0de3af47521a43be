-- A withdrawal closes the live referrals of its case without reading all of them.
CREATE INDEX referral_of_case ON referral (case_id);
