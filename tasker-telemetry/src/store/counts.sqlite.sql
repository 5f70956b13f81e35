-- How many failures there were in each hour and on each day, kept by the database itself: whoever writes or deletes errors, and whenever
-- that is undone, the counts agree with them.

CREATE TABLE tasker_error_counts (
    -- An hour or a day, in nanoseconds, and its beginning (UTC).
    span            BIGINT NOT NULL,
    begins_at       BIGINT NOT NULL,
    error_class     TEXT   NOT NULL,
    error_type      TEXT   NOT NULL,
    -- Failures of attempts, and of tasks themselves. A row whose last error is deleted goes, too.
    attempts        BIGINT NOT NULL,
    tasks           BIGINT NOT NULL,
    PRIMARY KEY (span, begins_at, error_class, error_type)
);

CREATE TRIGGER tasker_errors_added AFTER INSERT ON tasker_errors BEGIN
    INSERT INTO tasker_error_counts (span, begins_at, error_class, error_type, attempts, tasks)
    SELECT span, NEW.occurred_at / span * span, NEW.error_class, NEW.error_type, NEW.step_id IS NOT NULL, NEW.step_id IS NULL
    FROM (SELECT 3600000000000 AS span UNION ALL SELECT 86400000000000) WHERE true
    ON CONFLICT (span, begins_at, error_class, error_type)
    DO UPDATE SET attempts = attempts + excluded.attempts, tasks = tasks + excluded.tasks;
END;

CREATE TRIGGER tasker_errors_deleted AFTER DELETE ON tasker_errors BEGIN
    INSERT INTO tasker_error_counts (span, begins_at, error_class, error_type, attempts, tasks)
    SELECT span, OLD.occurred_at / span * span, OLD.error_class, OLD.error_type, -(OLD.step_id IS NOT NULL), -(OLD.step_id IS NULL)
    FROM (SELECT 3600000000000 AS span UNION ALL SELECT 86400000000000) WHERE true
    ON CONFLICT (span, begins_at, error_class, error_type)
    DO UPDATE SET attempts = attempts + excluded.attempts, tasks = tasks + excluded.tasks;
    DELETE FROM tasker_error_counts
    WHERE span = 3600000000000 AND begins_at = OLD.occurred_at / 3600000000000 * 3600000000000
    AND error_class = OLD.error_class AND error_type = OLD.error_type AND attempts = 0 AND tasks = 0;
    DELETE FROM tasker_error_counts
    WHERE span = 86400000000000 AND begins_at = OLD.occurred_at / 86400000000000 * 86400000000000
    AND error_class = OLD.error_class AND error_type = OLD.error_type AND attempts = 0 AND tasks = 0;
END;

INSERT INTO tasker_error_counts (span, begins_at, error_class, error_type, attempts, tasks)
SELECT span, occurred_at / span * span, error_class, error_type, COUNT(step_id), COUNT(*) - COUNT(step_id)
FROM tasker_errors, (SELECT 3600000000000 AS span UNION ALL SELECT 86400000000000) GROUP BY 1, 2, 3, 4;
