-- Grain: one file that waits for its removal: no snapshot needs it, a reader may.
SELECT path, path_is_relative FROM __ducklake_metadata_dermastream.ducklake_files_scheduled_for_deletion
