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

-- Once a statement, the rows in their order: of two processes that count the same failures one waits for the other, never both.
CREATE FUNCTION tasker_count_errors() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign INTEGER := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO tasker_error_counts AS t (span, begins_at, error_class, error_type, attempts, tasks)
    SELECT span, occurred_at / span * span, error_class, error_type, sign * COUNT(step_id), sign * (COUNT(*) - COUNT(step_id))
    FROM changed, (VALUES (3600000000000), (86400000000000)) AS s (span) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (span, begins_at, error_class, error_type)
    DO UPDATE SET attempts = t.attempts + excluded.attempts, tasks = t.tasks + excluded.tasks;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM tasker_error_counts t USING (SELECT DISTINCT span, occurred_at / span * span AS begins_at, error_class, error_type
            FROM changed, (VALUES (3600000000000), (86400000000000)) AS s (span)) AS c
        WHERE t.span = c.span AND t.begins_at = c.begins_at AND t.error_class = c.error_class AND t.error_type = c.error_type
        AND t.attempts = 0 AND t.tasks = 0;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION tasker_forget_error_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM tasker_error_counts;
    RETURN NULL;
END $$;

CREATE TRIGGER tasker_errors_added AFTER INSERT ON tasker_errors
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tasker_count_errors();
CREATE TRIGGER tasker_errors_deleted AFTER DELETE ON tasker_errors
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tasker_count_errors();
CREATE TRIGGER tasker_errors_truncated AFTER TRUNCATE ON tasker_errors
    FOR EACH STATEMENT EXECUTE FUNCTION tasker_forget_error_counts();

-- Since there are triggers nobody else writes errors until this is committed.
INSERT INTO tasker_error_counts (span, begins_at, error_class, error_type, attempts, tasks)
SELECT span, occurred_at / span * span, error_class, error_type, COUNT(step_id), COUNT(*) - COUNT(step_id)
FROM tasker_errors, (VALUES (3600000000000), (86400000000000)) AS s (span) GROUP BY 1, 2, 3, 4;
