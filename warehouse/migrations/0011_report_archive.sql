-- 0011: issued reports in the lake: what was said, and the checksums of what was sent.

CREATE TABLE mart.report_file (
  report_id VARCHAR,
  week VARCHAR,
  edition VARCHAR,
  revision INTEGER,
  snapshot_id BIGINT,
  issued_at TIMESTAMPTZ,
  reason VARCHAR,
  kind VARCHAR,
  bytes BIGINT,
  sha256 VARCHAR,
  document VARCHAR
);
COMMENT ON TABLE mart.report_file IS 'Grain: one file of one issued report; append-only. The frozen data is in the row of kind json, from which every other file follows byte for byte. Aggregates only, small cells suppressed.';
COMMENT ON COLUMN mart.report_file.report_id IS 'report, as printed in it';
COMMENT ON COLUMN mart.report_file.week IS 'ISO week';
COMMENT ON COLUMN mart.report_file.edition IS 'network, or clinic-<id>';
COMMENT ON COLUMN mart.report_file.revision IS 'from 1';
COMMENT ON COLUMN mart.report_file.snapshot_id IS 'warehouse snapshot that it was frozen from';
COMMENT ON COLUMN mart.report_file.issued_at IS 'when; UTC';
COMMENT ON COLUMN mart.report_file.reason IS 'why a later revision was made; null for the first';
COMMENT ON COLUMN mart.report_file.kind IS 'json, html, txt, pdf or csv';
COMMENT ON COLUMN mart.report_file.bytes IS 'size of the file, bytes';
COMMENT ON COLUMN mart.report_file.sha256 IS 'checksum of the file; hexadecimal';
COMMENT ON COLUMN mart.report_file.document IS 'the frozen data; null for the other kinds';
