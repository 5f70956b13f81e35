-- One schema for SQLite and PostgreSQL. Times are nanoseconds since 1970 UTC, durations nanoseconds; lists and maps are JSON as text.
-- No foreign keys: rows of one task may come from several processes, and what is written first is not always the task.

CREATE TABLE tasker_tasks (
    task_id         TEXT   NOT NULL PRIMARY KEY,
    task_name       TEXT   NOT NULL,
    state           TEXT   NOT NULL
        CHECK (state IN ('pending', 'in_progress', 'complete', 'error', 'cancelled', 'resolved_manually')),
    -- How often a task of that id was begun.
    run             BIGINT NOT NULL DEFAULT 1,
    run_key         TEXT,
    -- How often an operator or another process had it run again.
    retries         BIGINT NOT NULL DEFAULT 0,
    correlation_id  TEXT,
    context         TEXT,
    -- What another process needs to take the task up.
    carrier         TEXT,
    -- The process that runs it, or ran it last.
    worker_id       TEXT,
    created_at      BIGINT NOT NULL,
    started_at      BIGINT,
    ended_at        BIGINT,
    updated_at      BIGINT NOT NULL,
    reason          TEXT,
    resolved_by     TEXT
);
CREATE INDEX tasker_tasks_by_state ON tasker_tasks (state, created_at);
CREATE INDEX tasker_tasks_by_end ON tasker_tasks (ended_at);

CREATE TABLE tasker_steps (
    step_id         TEXT   NOT NULL PRIMARY KEY,
    task_id         TEXT   NOT NULL,
    step_name       TEXT   NOT NULL,
    state           TEXT   NOT NULL
        CHECK (state IN ('pending', 'in_progress', 'complete', 'error', 'cancelled', 'resolved_manually')),
    attempts        BIGINT NOT NULL,
    retry_limit     BIGINT NOT NULL,
    inputs          TEXT,
    created_at      BIGINT NOT NULL,
    started_at      BIGINT,
    ended_at        BIGINT,
    -- When the next attempt is due.
    retry_at        BIGINT,
    reason          TEXT,
    resolved_by     TEXT
);
CREATE INDEX tasker_steps_by_task ON tasker_steps (task_id, created_at);

CREATE TABLE tasker_attempts (
    step_id         TEXT   NOT NULL,
    attempt         BIGINT NOT NULL,
    task_id         TEXT   NOT NULL,
    step_name       TEXT   NOT NULL,
    state           TEXT   NOT NULL
        CHECK (state IN ('pending', 'in_progress', 'complete', 'error', 'cancelled', 'resolved_manually')),
    requested_at    BIGINT NOT NULL,
    started_at      BIGINT,
    ended_at        BIGINT,
    queue_nanos     BIGINT,
    duration_nanos  BIGINT,
    PRIMARY KEY (step_id, attempt)
);
CREATE INDEX tasker_attempts_by_task ON tasker_attempts (task_id);
CREATE INDEX tasker_attempts_by_duration ON tasker_attempts (duration_nanos);

CREATE TABLE tasker_errors (
    event_id        TEXT   NOT NULL PRIMARY KEY,
    task_id         TEXT   NOT NULL,
    -- Absent for the failure of the task itself.
    step_id         TEXT,
    step_name       TEXT,
    attempt         BIGINT,
    occurred_at     BIGINT NOT NULL,
    error_class     TEXT   NOT NULL,
    error_type      TEXT   NOT NULL,
    error_message   TEXT   NOT NULL,
    error_chain     TEXT   NOT NULL,
    backtrace       TEXT   NOT NULL,
    retryable       BOOLEAN NOT NULL
);
CREATE INDEX tasker_errors_by_task ON tasker_errors (task_id);
CREATE INDEX tasker_errors_by_time ON tasker_errors (occurred_at, error_class, error_type, step_id);

-- Every event of tasks and steps, once.
CREATE TABLE tasker_transitions (
    event_id        TEXT   NOT NULL PRIMARY KEY,
    task_id         TEXT   NOT NULL,
    step_id         TEXT,
    attempt         BIGINT,
    event           TEXT   NOT NULL,
    -- Absent for an event that changes no state.
    from_state      TEXT,
    to_state        TEXT,
    occurred_at     BIGINT NOT NULL,
    -- The part of the task's life that one process ran, and the event's number in it: that is their order. Times are no order: the
    -- clocks of two threads may differ by a little.
    number          BIGINT NOT NULL,
    part            TEXT   NOT NULL,
    worker_id       TEXT,
    reason          TEXT
);
CREATE INDEX tasker_transitions_by_task ON tasker_transitions (task_id, occurred_at, number);

-- The processes that write here. One whose lease is over is dead, and what it left in progress may be claimed.
CREATE TABLE tasker_workers (
    worker_id       TEXT   NOT NULL PRIMARY KEY,
    lease_until     BIGINT NOT NULL
);
