-- landing.removed. Grain: the events of one batch that leave one relation.
INSERT INTO landing.removed
SELECT batch_id, relation, 'erasure', count(*), $at FROM person_event GROUP BY batch_id, relation
