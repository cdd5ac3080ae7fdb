-- The cards as they are known. Grain: one metric and version. Input: mart.metric_card.
FROM mart.metric_card
