/* shared.c: a lock that every request reads and only commits write.
 *
 * One pthread_rwlock would do, were it not that taking it for reading writes to it: two workers
 * that ask at the same time then wait for its cache line, ten times a request, and that costs more
 * than what the lock protects. So there are several, each alone on its cache line. Writing gets
 * dearer by their number, which is why what a commit changes is gathered before the lock is taken.
 *
 * Threads past the number of parts share. */
#include "internal.h"

static pthread_rwlock_t *own(struct rec_shared *shared) {
    return &shared->part[rec_thread_number() % REC_SHARED_PARTS].lock;
}

void rec_shared_init(struct rec_shared *shared) {
    pthread_rwlockattr_t kind;
    pthread_rwlockattr_init(&kind);
    /* Requests overlap all the time: without this a commit could wait for a gap for ever. */
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    for (size_t i = 0; i < REC_SHARED_PARTS; i++)
        pthread_rwlock_init(&shared->part[i].lock, &kind);
    pthread_rwlockattr_destroy(&kind);
}

void rec_shared_finish(struct rec_shared *shared) {
    for (size_t i = 0; i < REC_SHARED_PARTS; i++)
        pthread_rwlock_destroy(&shared->part[i].lock);
}

void rec_shared_read(struct rec_shared *shared) {
    pthread_rwlock_rdlock(own(shared));
}

void rec_shared_read_end(struct rec_shared *shared) {
    pthread_rwlock_unlock(own(shared));
}

/* In one order, so that two who write do not wait for each other. */
void rec_shared_write(struct rec_shared *shared) {
    for (size_t i = 0; i < REC_SHARED_PARTS; i++)
        pthread_rwlock_wrlock(&shared->part[i].lock);
}

void rec_shared_write_end(struct rec_shared *shared) {
    for (size_t i = 0; i < REC_SHARED_PARTS; i++)
        pthread_rwlock_unlock(&shared->part[i].lock);
}
