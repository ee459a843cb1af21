/* The writer thread: one connection, one transaction for all writes that wait (group commit).
 *
 * A commit costs an fsync, whatever it holds, so throughput is rows per fsync. Writes that arrive
 * during one commit form the next group by themselves. Only one thing needs help: after a commit
 * its submitters come back one by one, and taking the first at once would make groups of 1 and
 * n - 1 in turn. So the thread waits for about as many writes as the last group had, never longer
 * than REC_WRITE_GROUP_WAIT_US or half a commit (32 submitters: groups of 31 instead of 16 to 27);
 * a lone submitter's last group had one write, and it never waits.
 *
 * One write that is wrong leaves its group alone. To know that beforehand would take a savepoint
 * around each, which costs a copy of every page it touches; what reaches the writer was checked at
 * the door and is as good as never wrong. So a group of interactions is tried without, and only
 * when one fails it begins again, with savepoints. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "mover.h"
#include "writer.h"

enum {
    NS_PER_US = 1000,
    NS_PER_S = 1000000000,
    TRUNCATE_RETRY_NS = 100 * 1000 * NS_PER_US,
    PROBE_WAIT_NS = NS_PER_S,
    /* Pages in the WAL that are moved to the database at once, and not before: a commit of single
     * interactions writes a page a row, mostly the same thousands of pages again and again, and
     * each is moved once. 40 MB, which a start after a crash reads in a tenth of a second; it may
     * become five times that before the writer waits. */
    MOVED_PAGES = 10000,
    MOVED_PASSES = 2, /* beside the writer; the second moves what came during the first */
    /* So many more, and the writer waits: then the disk is slower than what is written. */
    WAITING_PAGES = 4 * MOVED_PAGES,
    IMPORT_MOVED_PAGES = 1000, /* SQLite's own default, where commits are large already */
};
static const uint64_t PROBE_FRESH_NS = 5ull * NS_PER_S;

/* A kind beyond those of the header: a struct rec_writer_job. */
enum { KIND_JOB = REC_WRITE_USER_ERASE + 1 };

struct outcome {
    struct rec_write *write;
    struct rec_error err; /* status OK: committed */
};

struct rec_writer {
    pthread_t thread;
    pthread_mutex_t lock; /* guards what is marked Q */
    pthread_cond_t work;  /* the queue grew, or it is time to stop */
    pthread_cond_t ended; /* a group ended, a job is done, the session came back */

    struct rec_write *head, **tail;    /* Q the queue */
    size_t queued_writes, queued_rows; /* Q */
    size_t wanted_writes;              /* Q fewer do not wake the thread */
    uint64_t submitted, completed;     /* Q writes, ever */
    bool closing;                      /* Q */
    bool lent;                         /* Q session is another thread's */
    bool working;                      /* Q session is in use by the thread */
    uint64_t committed_at_ns;          /* Q end of the last good commit */
    struct rec_writer_job probe;       /* Q one at a time, shared by all who ask */
    bool probe_queued;                 /* Q */

    /* the writer thread's own, or the borrower's while lent */
    struct rec_session session;
    struct rec_mover *mover;
    int wal_pages;           /* as the last commit left it */
    int move_at_pages;       /* the next step of moving it comes at so many */
    int passes;              /* of the mover, since the WAL was moved or started over */
    bool moved;              /* perhaps all of the WAL: the mover was busy, or it was truncated */
    bool grown;              /* the group under way wrote pages */
    bool truncate_due;       /* erased data is still in the WAL */
    uint64_t truncate_at_ns; /* not before */
    size_t last_group_writes;
    uint64_t last_commit_ns;
    size_t group_count;
    struct outcome group[REC_WRITE_GROUP_WRITES_MAX];
};

/* ---- waiting ------------------------------------------------------------------- */

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns) {
    struct timespec at = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                          .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    (void)pthread_cond_timedwait(cond, lock, &at);
}

/* Monotonic, so that a clock that is set does not stretch a wait. */
static int init_cond(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    int code = pthread_condattr_init(&attr);
    if (code != 0)
        return code;
    code = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (code == 0)
        code = pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    return code;
}

/* ---- taking a group -------------------------------------------------------------- */

/* How many rows a write takes of the queue and of a group: at least one. */
static size_t rows_of(const struct rec_write *write) {
    bool many = write->kind == REC_WRITE_INTERACTIONS || write->kind == REC_WRITE_ITEMS;
    return many && write->count > 0 ? write->count : 1;
}

static void wait_for_company(struct rec_writer *writer) {
    if (writer->last_group_writes < 2)
        return;
    uint64_t wait_ns = writer->last_commit_ns / 2;
    if (wait_ns > (uint64_t)REC_WRITE_GROUP_WAIT_US * NS_PER_US)
        wait_ns = (uint64_t)REC_WRITE_GROUP_WAIT_US * NS_PER_US;
    uint64_t deadline_ns = rec_clock_monotonic_ns() + wait_ns;
    writer->wanted_writes = writer->last_group_writes;
    while (!writer->closing && writer->queued_writes < writer->last_group_writes &&
           writer->queued_rows < REC_WRITE_GROUP_ROWS_MAX && rec_clock_monotonic_ns() < deadline_ns)
        wait_until(&writer->work, &writer->lock, deadline_ns);
    writer->wanted_writes = 0;
}

/* A write larger than a group goes alone. */
static void take_group(struct rec_writer *writer) {
    size_t rows = 0;
    writer->group_count = 0;
    while (writer->head != NULL) {
        size_t more = rows_of(writer->head);
        if (writer->group_count == REC_WRITE_GROUP_WRITES_MAX ||
            (writer->group_count > 0 && rows + more > REC_WRITE_GROUP_ROWS_MAX))
            break;
        writer->group[writer->group_count++] = (struct outcome){.write = writer->head};
        rows += more;
        writer->head = writer->head->next;
        writer->queued_writes--;
        writer->queued_rows -= more;
    }
    if (writer->head == NULL)
        writer->tail = &writer->head;
}

enum next { NEXT_GROUP, NEXT_TRUNCATE, NEXT_STOP };

/* Sleeps until there is something to do. Marks the session as in use, but for NEXT_STOP. */
static enum next next_thing(struct rec_writer *writer) {
    enum next next = NEXT_GROUP;

    (void)pthread_mutex_lock(&writer->lock);
    while (writer->head == NULL && !writer->closing) {
        if (!writer->truncate_due || writer->lent) {
            (void)pthread_cond_wait(&writer->work, &writer->lock);
        } else if (rec_clock_monotonic_ns() < writer->truncate_at_ns) {
            wait_until(&writer->work, &writer->lock, writer->truncate_at_ns);
        } else {
            next = NEXT_TRUNCATE;
            break;
        }
    }
    if (writer->head != NULL) {
        next = NEXT_GROUP;
        wait_for_company(writer);
        take_group(writer);
    } else if (writer->closing) {
        next = NEXT_STOP;
    }
    writer->working = next != NEXT_STOP;
    (void)pthread_mutex_unlock(&writer->lock);
    return next;
}

/* ---- committing a group ------------------------------------------------------------- */

/* A write's own fault, which its neighbours need not share. */
static bool is_own_fault(enum rec_status st) {
    return st == REC_BAD_INPUT || st == REC_NOT_FOUND || st == REC_CONFLICT || st == REC_LIMIT;
}

static enum rec_status run_write(struct rec_session *session, struct rec_write *write,
                                 struct rec_error *err) {
    if ((int)write->kind != KIND_JOB)
        return rec_apply_write(session, write, err);
    struct rec_writer_job *job = (struct rec_writer_job *)write;
    return job->run(session, job->context, err);
}

/* Not OK: the transaction cannot go on. */
static enum rec_status apply_one(struct rec_session *session, struct outcome *one,
                                 struct rec_error *err) {
    struct rec_session_counts before = session->counts;
    enum rec_status st = rec_database_run(&session->db, REC_SQL_SAVEPOINT, err);
    if (st != REC_OK)
        return st;

    struct rec_error cause = {0};
    st = run_write(session, one->write, &cause);
    if (st != REC_OK) {
        if (!is_own_fault(st) || sqlite3_get_autocommit(session->db.handle))
            return rec_error_set(err, is_own_fault(st) ? REC_IO : st, "%s", cause.text);
        one->err = cause;
        session->counts = before;
        rec_session_forget(session);
        st = rec_database_run(&session->db, REC_SQL_SAVEPOINT_UNDO, err);
    }
    return st == REC_OK ? rec_database_run(&session->db, REC_SQL_SAVEPOINT_END, err) : st;
}

static bool erases(const struct rec_writer *writer) {
    for (size_t i = 0; i < writer->group_count; i++)
        if (writer->group[i].write->kind == REC_WRITE_USER_ERASE &&
            writer->group[i].err.status == REC_OK)
            return true;
    return false;
}

/* Until the WAL is emptied, what was erased can still be read from it. A reader in the middle of a
 * scan holds that up, and so does a pass of the mover: then it is tried again later, and the
 * erasing request does not wait. */
static void truncate_wal(struct rec_writer *writer) {
    writer->moved = true;
    if (rec_mover_busy(writer->mover) || rec_mover_failed(writer->mover)) {
        writer->truncate_due = true;
        writer->truncate_at_ns = rec_clock_monotonic_ns() + TRUNCATE_RETRY_NS;
        return;
    }
    (void)sqlite3_busy_timeout(writer->session.db.handle, 0);
    writer->truncate_due = rec_session_truncate(&writer->session, NULL) != REC_OK;
    (void)sqlite3_busy_timeout(writer->session.db.handle, REC_DATABASE_BUSY_MS);
    writer->truncate_at_ns = rec_clock_monotonic_ns() + TRUNCATE_RETRY_NS;
}

static int on_commit(void *context, sqlite3 *handle, const char *database, int pages) {
    struct rec_writer *writer = context;
    (void)handle;
    (void)database;
    if (pages < writer->wal_pages) { /* it has started over */
        writer->move_at_pages = MOVED_PAGES;
        writer->passes = 0;
    }
    writer->wal_pages = pages;
    writer->grown = true;
    return SQLITE_OK;
}

/* After the group was answered, where SQLite itself would do it before COMMIT returns, and most of
 * it beside the writer. Only when all is moved can the WAL start over, and that is never while
 * others write: so the last of it, some hundred pages, is the writer's. A reader in the middle of a
 * scan holds that up; then it is tried again when the WAL has grown by as much once more. */
static void move_wal(struct rec_writer *writer) {
    if (writer->wal_pages < writer->move_at_pages || rec_mover_failed(writer->mover))
        return;
    if (writer->wal_pages >= writer->move_at_pages + WAITING_PAGES)
        rec_mover_wait(writer->mover);
    if (rec_mover_busy(writer->mover))
        return;
    if (writer->passes < MOVED_PASSES) {
        if (writer->moved || !writer->grown)
            return; /* perhaps nothing is left to move: no pass may begin then (mover.c) */
        writer->passes++;
        rec_mover_start(writer->mover);
        return;
    }
    (void)sqlite3_wal_checkpoint_v2(writer->session.db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                    NULL, NULL);
    writer->passes = 0;
    writer->move_at_pages = writer->wal_pages + MOVED_PAGES;
}

/* The group without savepoints; *again: the first write that failed may have spoilt the others. */
static enum rec_status commit_plain(struct rec_writer *writer, bool *again, struct rec_error *err) {
    struct rec_session *session = &writer->session;
    enum rec_status st = rec_session_begin(session, err);
    for (size_t i = 0; st == REC_OK && !*again && i < writer->group_count; i++)
        *again = rec_apply_write(session, writer->group[i].write, NULL) != REC_OK;
    if (st == REC_OK && !*again)
        return rec_session_commit(session, err);
    rec_session_rollback(session);
    return st;
}

static enum rec_status commit_careful(struct rec_writer *writer, struct rec_error *err) {
    struct rec_session *session = &writer->session;
    enum rec_status st = rec_session_begin(session, err);
    for (size_t i = 0; st == REC_OK && i < writer->group_count; i++)
        st = apply_one(session, &writer->group[i], err);
    if (st == REC_OK)
        st = rec_session_commit(session, err);
    else
        rec_session_rollback(session);
    return st;
}

/* Jobs may not be run twice, and the other kinds fail as a matter of course (404). */
static enum rec_status commit_group(struct rec_writer *writer, struct rec_error *err) {
    bool careful = false;
    for (size_t i = 0; i < writer->group_count; i++)
        careful = careful || writer->group[i].write->kind != REC_WRITE_INTERACTIONS;
    if (!careful) {
        enum rec_status st = commit_plain(writer, &careful, err);
        if (!careful)
            return st;
    }
    return commit_careful(writer, err);
}

static void run_group(struct rec_writer *writer) {
    struct rec_error err = {0};
    uint64_t start_ns = rec_clock_monotonic_ns();
    writer->moved = rec_mover_busy(writer->mover);
    writer->grown = false;
    enum rec_status st = commit_group(writer, &err);
    uint64_t end_ns = rec_clock_monotonic_ns();

    writer->last_commit_ns = end_ns - start_ns;
    writer->last_group_writes = writer->group_count;
    /* A write that failed by itself keeps its own cause. */
    for (size_t i = 0; st != REC_OK && i < writer->group_count; i++)
        (void)rec_error_set(&writer->group[i].err, st, "%s", err.text);
    if (st == REC_OK &&
        (erases(writer) || (writer->truncate_due && end_ns >= writer->truncate_at_ns)))
        truncate_wal(writer);

    if (st == REC_OK) {
        (void)pthread_mutex_lock(&writer->lock);
        writer->committed_at_ns = end_ns;
        (void)pthread_mutex_unlock(&writer->lock);
    }
    for (size_t i = 0; i < writer->group_count; i++) {
        struct outcome *one = &writer->group[i];
        one->write->done(one->write, one->err.status, &one->err);
    }
    move_wal(writer);
}

static void *writer_main(void *context) {
    struct rec_writer *writer = context;
    enum next next;
    while ((next = next_thing(writer)) != NEXT_STOP) {
        if (next == NEXT_GROUP)
            run_group(writer);
        else
            truncate_wal(writer);

        (void)pthread_mutex_lock(&writer->lock);
        writer->working = false;
        writer->completed += next == NEXT_GROUP ? writer->group_count : 0;
        (void)pthread_cond_broadcast(&writer->ended);
        (void)pthread_mutex_unlock(&writer->lock);
    }
    return NULL;
}

/* ---- the queue -------------------------------------------------------------------------- */

/* Under the lock. */
static enum rec_status enqueue(struct rec_writer *writer, struct rec_write *write,
                               struct rec_error *err) {
    size_t rows = rows_of(write);
    if (rows > REC_WRITE_QUEUE_ROWS_MAX)
        return rec_error_set(err, REC_LIMIT, "write: %zu rows, at most %d are allowed", rows,
                             REC_WRITE_QUEUE_ROWS_MAX);
    if (writer->closing)
        return rec_error_set(err, REC_BUSY, "the store is closing");
    if (writer->lent)
        return rec_error_set(err, REC_BUSY, "an import is running");
    if (rows > REC_WRITE_QUEUE_ROWS_MAX - writer->queued_rows)
        return rec_error_set(err, REC_BUSY, "%zu rows wait to be written already",
                             writer->queued_rows);
    write->next = NULL;
    *writer->tail = write;
    writer->tail = &write->next;
    writer->queued_writes++;
    writer->queued_rows += rows;
    writer->submitted++;
    if (writer->queued_writes >= writer->wanted_writes ||
        writer->queued_rows >= REC_WRITE_GROUP_ROWS_MAX)
        (void)pthread_cond_signal(&writer->work);
    return REC_OK;
}

enum rec_status rec_writer_submit(struct rec_writer *writer, struct rec_write *write,
                                  struct rec_error *err) {
    if ((int)write->kind < 0 || (int)write->kind >= KIND_JOB)
        return rec_error_set(err, REC_BAD_INPUT, "write: unknown kind %d", (int)write->kind);
    assert(write->done != NULL && write->recorded != NULL);
    (void)pthread_mutex_lock(&writer->lock);
    enum rec_status st = enqueue(writer, write, err);
    (void)pthread_mutex_unlock(&writer->lock);
    return st;
}

void rec_writer_flush(struct rec_writer *writer) {
    (void)pthread_mutex_lock(&writer->lock);
    uint64_t until = writer->submitted;
    while (writer->completed < until)
        (void)pthread_cond_wait(&writer->ended, &writer->lock);
    (void)pthread_mutex_unlock(&writer->lock);
}

/* ---- jobs of this room ------------------------------------------------------------------ */

static void job_done(struct rec_write *write, enum rec_status status, const struct rec_error *err) {
    struct rec_writer_job *job = (struct rec_writer_job *)write;
    struct rec_writer *writer = write->context;
    (void)pthread_mutex_lock(&writer->lock);
    job->status = status;
    job->err = *err;
    job->done = true;
    (void)pthread_cond_broadcast(&writer->ended);
    (void)pthread_mutex_unlock(&writer->lock);
}

/* Under the lock. */
static enum rec_status enqueue_job(struct rec_writer *writer, struct rec_writer_job *job,
                                   struct rec_error *err) {
    job->base = (struct rec_write){
        .kind = (enum rec_write_kind)KIND_JOB, .done = job_done, .context = writer};
    job->done = false;
    return enqueue(writer, &job->base, err);
}

enum rec_status rec_writer_run(struct rec_writer *writer, struct rec_writer_job *job,
                               struct rec_error *err) {
    (void)pthread_mutex_lock(&writer->lock);
    enum rec_status st = enqueue_job(writer, job, err);
    while (st == REC_OK && !job->done)
        (void)pthread_cond_wait(&writer->ended, &writer->lock);
    if (st == REC_OK) {
        st = job->status;
        if (st != REC_OK)
            (void)rec_error_set(err, st, "%s", job->err.text);
    }
    (void)pthread_mutex_unlock(&writer->lock);
    return st;
}

static enum rec_status probe_run(struct rec_session *session, void *context,
                                 struct rec_error *err) {
    (void)context;
    /* A new value each time: SQLite does not write a page that stays the same. */
    return rec_session_set_meta(session, "checked", rec_clock_monotonic_ns(), err);
}

enum rec_status rec_writer_probe(struct rec_writer *writer, struct rec_error *err) {
    enum rec_status st = REC_OK;
    uint64_t now_ns = rec_clock_monotonic_ns(), deadline_ns = now_ns + PROBE_WAIT_NS;

    (void)pthread_mutex_lock(&writer->lock);
    bool fresh = now_ns < writer->committed_at_ns + PROBE_FRESH_NS || writer->lent;
    /* All who ask at a time wait for one probe; one that hangs is not queued twice. */
    if (!fresh && (!writer->probe_queued || writer->probe.done)) {
        st = enqueue_job(writer, &writer->probe, err);
        writer->probe_queued = st == REC_OK;
    }
    while (st == REC_OK && !fresh && !writer->probe.done && rec_clock_monotonic_ns() < deadline_ns)
        wait_until(&writer->ended, &writer->lock, deadline_ns);
    if (st == REC_OK && !fresh) {
        if (!writer->probe.done)
            st = rec_error_set(err, REC_IO, "store: the disk took no write within a second");
        else if (writer->probe.status != REC_OK)
            st = rec_error_set(err, writer->probe.status, "%s", writer->probe.err.text);
    }
    (void)pthread_mutex_unlock(&writer->lock);
    return st;
}

/* ---- lending ----------------------------------------------------------------------------- */

enum rec_status rec_writer_lend(struct rec_writer *writer, struct rec_session **out,
                                struct rec_error *err) {
    enum rec_status st = REC_OK;
    (void)pthread_mutex_lock(&writer->lock);
    if (writer->lent)
        st = rec_error_set(err, REC_CONFLICT, "an import is running already");
    else if (rec_mover_failed(writer->mover))
        st = rec_error_set(err, REC_IO, "the disk has refused an fsync; restart the service");
    else
        writer->lent = true;
    while (st == REC_OK && (writer->working || writer->head != NULL))
        (void)pthread_cond_wait(&writer->ended, &writer->lock);
    (void)pthread_mutex_unlock(&writer->lock);
    if (st == REC_OK) {
        rec_mover_wait(writer->mover); /* both would move */
        (void)sqlite3_wal_autocheckpoint(writer->session.db.handle, IMPORT_MOVED_PAGES);
        *out = &writer->session;
    }
    return st;
}

void rec_writer_give_back(struct rec_writer *writer) {
    (void)sqlite3_wal_hook(writer->session.db.handle, on_commit, writer);
    (void)pthread_mutex_lock(&writer->lock);
    writer->lent = false;
    (void)pthread_cond_broadcast(&writer->ended);
    (void)pthread_cond_signal(&writer->work);
    (void)pthread_mutex_unlock(&writer->lock);
}

/* ---- life ---------------------------------------------------------------------------------- */

/* Signals are for the main thread: this one blocks them all, by starting with them blocked. */
static int start_thread(struct rec_writer *writer) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(&writer->thread, NULL, writer_main, writer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

enum rec_status rec_writer_create(struct rec_session *session, struct rec_writer **out,
                                  struct rec_error *err) {
    struct rec_writer *writer = rec_alloc_array(1, sizeof(*writer));
    if (writer == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "store: no memory for the writer");
    writer->tail = &writer->head;
    writer->probe.run = probe_run;
    writer->move_at_pages = MOVED_PAGES;
    enum rec_status st =
        rec_mover_create(sqlite3_db_filename(session->db.handle, "main"), &writer->mover, err);
    if (st != REC_OK) {
        rec_alloc_free(writer);
        return st;
    }
    writer->session = *session;
    writer->session.users = rec_recent_create(); /* without, every id is looked up */
    writer->session.items = rec_recent_create();
    /* These fail only for lack of memory, which glibc's versions never need. */
    int code = pthread_mutex_init(&writer->lock, NULL);
    if (code == 0)
        code = init_cond(&writer->work);
    if (code == 0)
        code = init_cond(&writer->ended);
    if (code == 0)
        code = start_thread(writer);
    if (code != 0) {
        rec_mover_destroy(&writer->mover);
        rec_recent_destroy(&writer->session.users);
        rec_recent_destroy(&writer->session.items);
        rec_alloc_free(writer);
        return rec_error_set(err, REC_IO, "store: the writer thread does not start: %s",
                             strerror(code));
    }
    (void)sqlite3_wal_hook(writer->session.db.handle, on_commit,
                           writer); /* nothing is queued yet */
    *session = (struct rec_session){0};
    *out = writer;
    return REC_OK;
}

void rec_writer_stop(struct rec_writer *writer) {
    (void)pthread_mutex_lock(&writer->lock);
    assert(!writer->lent);
    writer->closing = true;
    (void)pthread_cond_signal(&writer->work);
    (void)pthread_mutex_unlock(&writer->lock);
    (void)pthread_join(writer->thread, NULL);
}

void rec_writer_destroy(struct rec_writer **writer_pointer) {
    struct rec_writer *writer = *writer_pointer;
    if (writer == NULL)
        return;
    rec_mover_wait(writer->mover);
    (void)sqlite3_db_config(writer->session.db.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                            (int)rec_mover_failed(writer->mover), NULL);
    truncate_wal(writer);
    rec_mover_destroy(&writer->mover);
    rec_database_close(&writer->session.db);
    rec_recent_destroy(&writer->session.users);
    rec_recent_destroy(&writer->session.items);
    (void)pthread_cond_destroy(&writer->work);
    (void)pthread_cond_destroy(&writer->ended);
    (void)pthread_mutex_destroy(&writer->lock);
    rec_alloc_free(writer);
    *writer_pointer = NULL;
}
