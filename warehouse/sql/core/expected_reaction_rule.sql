-- relation: core.expected_reaction_rule
-- grain:    one term of one version of the rule; the newest version applies
-- inputs:   none: the rule is data. A change is a new version with its own rows, never an edit.
-- time:     none
-- origin:   signs of recovery and their course from the treatment's description; the list beyond redness,
--           swelling and bleeding, and the seven days in which a sign must begin, are assumptions

CREATE OR REPLACE VIEW core.expected_reaction_rule AS
SELECT rule_version, term, max_grade, onset_within_hours, review_after_hours, expected_within_hours
FROM (
  VALUES
    (1, 'erythema',   1, 168, 48, 168),
    (1, 'oedema',     1, 168, 48, 168),
    (1, 'bleeding',   1, 168, 48, 168),
    (1, 'soreness',   1, 168, 48, 168),
    (1, 'throbbing',  1, 168, 48, 168),
    (1, 'tightness',  1, 168, 48, 168),
    (1, 'peeling',    1, 168, 48, 168)
) AS rule (rule_version, term, max_grade, onset_within_hours, review_after_hours, expected_within_hours);

COMMENT ON VIEW core.expected_reaction_rule IS 'Grain: one term of one version of the rule of expected transient reactions: highest CTCAE grade, hours after the session within which it must begin, hours after onset from which it is reviewed, hours after onset from which it is no longer expected.';
