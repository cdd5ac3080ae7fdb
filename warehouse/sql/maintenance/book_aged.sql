-- landing.removed. Grain: the rows of one batch that leave RELATION because of their age.
INSERT INTO landing.removed
SELECT batch_id, $relation, 'retention', count(*), $now FROM RELATION WHERE MOMENT < $before GROUP BY batch_id
