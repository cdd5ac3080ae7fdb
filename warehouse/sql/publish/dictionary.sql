-- published.mart.data_dictionary. Grain: one column of one relation of the file.
CREATE TABLE published.mart.data_dictionary AS
FROM dermastream.mart.data_dictionary
WHERE list_contains($relations, relation)
