-- For the first and the last failure of a class, and for the slowest attempts of a short time.
CREATE INDEX tasker_errors_by_class ON tasker_errors (error_class, error_type, occurred_at);
CREATE INDEX tasker_attempts_by_end ON tasker_attempts (ended_at, duration_nanos);
-- With the end, so that what is slower but too old is passed over without reading its row.
DROP INDEX tasker_attempts_by_duration;
CREATE INDEX tasker_attempts_by_duration ON tasker_attempts (duration_nanos, ended_at);
