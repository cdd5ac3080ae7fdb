-- relation: how alike the patients of protocols are, before and after weighting
-- grain:    one protocol and covariate, or category of one
-- inputs:   mart.protocol_balance; $fewest: protocols with fewer patients are left out, or compared with fewer; $protocol:
--           which one, null for all; $every_clinic: the reader's scope, nothing for readers of some clinics only
-- time:     the newest refresh
SELECT protocol_id, covariate, category, smd, smd_weighted, abs(smd) AS before, abs(smd_weighted) AS after, reason, as_of
FROM mart.protocol_balance
WHERE $every_clinic AND least(patients, compared) >= $fewest AND protocol_id = coalesce($protocol, protocol_id)
ORDER BY protocol_id, covariate, category
