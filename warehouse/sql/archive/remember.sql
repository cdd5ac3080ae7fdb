-- mart.report_file: files not yet there. given_files is registered by the caller.
INSERT INTO mart.report_file BY NAME
SELECT * FROM given_files
WHERE NOT EXISTS (
  FROM mart.report_file AS known
  WHERE known.report_id = given_files.report_id AND known.kind = given_files.kind
)
