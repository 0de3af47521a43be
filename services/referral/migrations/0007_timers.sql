-- Cases of before the closed loop had no timer, and some lost theirs to a finding that went on
-- beside a new holder: for both, time must remind and escalate again. A timer that has done its
-- work is left out by its reminders, a case that rests for a finding because that has its own.
UPDATE case_holder SET timer_at = next_due_at
WHERE open AND timer_at IS NULL AND reminders = 0 AND desk_reason IS DISTINCT FROM 'finding'
  AND next_action IN ('handle', 'assign', 'ask-reporter', 'find-party', 'call-holder');
