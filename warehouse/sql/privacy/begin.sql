-- temp.person_session: sessions of the person. temp.person_event: events about the person, of any raw table.
CREATE OR REPLACE TEMP TABLE person_session (clinic_id VARCHAR, session_id VARCHAR);
CREATE OR REPLACE TEMP TABLE person_event (relation VARCHAR, source VARCHAR, id VARCHAR, batch_id VARCHAR);
