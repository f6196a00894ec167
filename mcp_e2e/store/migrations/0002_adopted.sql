-- A session of a process that we did not start: which one, and what it was started with (model.services.Adopted, JSON).
ALTER TABLE sessions ADD COLUMN adopted TEXT;
