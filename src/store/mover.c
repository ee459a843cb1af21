/* Moving the WAL into the database, on a thread and a connection of its own.
 *
 * Ten thousand pages take 25 to 60 ms, most of it an fsync of pages that lie anywhere. SQLite lets
 * one connection move while another commits, so that nobody waits for it. What it cannot do
 * meanwhile is start the WAL over: that takes a moment in which everything has been moved. Behind
 * this thread there is always a little left, which the writer moves itself (writer.c).
 *
 * A pass may only begin where the WAL has pages that nobody can have moved: SQLite before 3.51.3
 * (3.44.6, 3.50.7) takes a WAL that is started over while a pass begins on one moved in full for
 * moved, too, and its pages are lost. The writer sees to that.
 *
 * SQLite leaves the fsync to whoever moves the last page, which would be the writer again, for all
 * pages; so there is one after each pass. One that fails is not repeated: the kernel has dropped
 * pages that the next would call written. Then nothing is moved any more, and all stays in the WAL.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "database.h"
#include "mover.h"

struct rec_mover {
    pthread_t thread;
    struct rec_database db;
    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t changed; /* of either */
    bool busy;
    bool closing;
    bool failed;
};

/* False: the database file took no fsync. A move that fails is tried again. */
static bool pass(sqlite3 *handle) {
    sqlite3_file *file = NULL;
    (void)sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return sqlite3_file_control(handle, NULL, SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
           file == NULL || file->pMethods == NULL ||
           file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) == SQLITE_OK;
}

static void *mover_main(void *context) {
    struct rec_mover *mover = context;
    (void)pthread_mutex_lock(&mover->lock);
    for (;;) {
        while (!mover->busy && !mover->closing)
            (void)pthread_cond_wait(&mover->changed, &mover->lock);
        if (!mover->busy)
            break;
        (void)pthread_mutex_unlock(&mover->lock);
        bool synced = pass(mover->db.handle);
        if (!synced)
            rec_log_event(REC_LOG_ERROR, "database_not_synced",
                          "the disk refused an fsync; rows stay in the WAL until the next start");
        (void)pthread_mutex_lock(&mover->lock);
        mover->busy = false;
        mover->failed = mover->failed || !synced;
        (void)pthread_cond_broadcast(&mover->changed);
    }
    (void)pthread_mutex_unlock(&mover->lock);
    return NULL;
}

/* Closing this connection moves nothing, the writer's does. And one that has read nothing takes the
 * file for one without a WAL, and would move nothing ever. */
static enum rec_status open_database(const char *path, struct rec_database *db,
                                     struct rec_error *err) {
    int64_t version;
    enum rec_status st = rec_database_open(path, true, db, err);
    if (st != REC_OK)
        return st;
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    st = rec_database_number(db, "SELECT count(*) FROM meta", &version, err);
    if (st != REC_OK)
        rec_database_close(db);
    return st;
}

/* Signals are for the main thread: this one blocks them all, by starting with them blocked. */
static int start_thread(struct rec_mover *mover) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(&mover->thread, NULL, mover_main, mover);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

enum rec_status rec_mover_create(const char *path, struct rec_mover **out, struct rec_error *err) {
    struct rec_mover *mover = rec_alloc_array(1, sizeof(*mover));
    if (mover == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "store: no memory to move the WAL");
    enum rec_status st = open_database(path, &mover->db, err);
    if (st != REC_OK) {
        rec_alloc_free(mover);
        return st;
    }
    /* The first two fail only for lack of memory, which glibc's versions never need. */
    int code = pthread_mutex_init(&mover->lock, NULL);
    if (code == 0)
        code = pthread_cond_init(&mover->changed, NULL);
    if (code == 0)
        code = start_thread(mover);
    if (code != 0) {
        rec_database_close(&mover->db);
        rec_alloc_free(mover);
        return rec_error_set(err, REC_IO, "store: the thread that moves the WAL does not start: %s",
                             strerror(code));
    }
    *out = mover;
    return REC_OK;
}

void rec_mover_destroy(struct rec_mover **mover_pointer) {
    struct rec_mover *mover = *mover_pointer;
    if (mover == NULL)
        return;
    (void)pthread_mutex_lock(&mover->lock);
    mover->closing = true;
    (void)pthread_cond_broadcast(&mover->changed);
    (void)pthread_mutex_unlock(&mover->lock);
    (void)pthread_join(mover->thread, NULL);
    rec_database_close(&mover->db);
    (void)pthread_cond_destroy(&mover->changed);
    (void)pthread_mutex_destroy(&mover->lock);
    rec_alloc_free(mover);
    *mover_pointer = NULL;
}

void rec_mover_start(struct rec_mover *mover) {
    (void)pthread_mutex_lock(&mover->lock);
    mover->busy = true;
    (void)pthread_cond_broadcast(&mover->changed);
    (void)pthread_mutex_unlock(&mover->lock);
}

bool rec_mover_busy(struct rec_mover *mover) {
    (void)pthread_mutex_lock(&mover->lock);
    bool busy = mover->busy;
    (void)pthread_mutex_unlock(&mover->lock);
    return busy;
}

bool rec_mover_failed(struct rec_mover *mover) {
    (void)pthread_mutex_lock(&mover->lock);
    bool failed = mover->failed;
    (void)pthread_mutex_unlock(&mover->lock);
    return failed;
}

void rec_mover_wait(struct rec_mover *mover) {
    (void)pthread_mutex_lock(&mover->lock);
    while (mover->busy)
        (void)pthread_cond_wait(&mover->changed, &mover->lock);
    (void)pthread_mutex_unlock(&mover->lock);
}
