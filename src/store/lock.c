/* The one-writer lock: flock on a file beside the database. Not on the database itself: SQLite
 * holds POSIX locks there, and closing any descriptor of a file drops all POSIX locks that the
 * process has on it. The kernel lets go of the lock when the process dies, however it dies. The
 * file is never deleted: a process could otherwise lock a name that is gone. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lock.h"

enum rec_status rec_lock_take(const char *database_path, int *fd, struct rec_error *err) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s.lock", database_path);
    if (length < 0 || (size_t)length >= sizeof(path))
        return rec_error_set(err, REC_BAD_INPUT, "%.200s...: the path is too long", database_path);

    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (lock < 0)
        return rec_error_set(err, REC_IO, "%s: %s", path, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        int cause = errno;
        (void)close(lock);
        if (cause != EWOULDBLOCK)
            return rec_error_set(err, REC_IO, "%s: %s", path, strerror(cause));
        return rec_error_set(err, REC_CONFLICT,
                             "%s: another recsysd is writing to it; while a daemon serves it, send "
                             "NDJSON to POST /interactions instead",
                             database_path);
    }
    *fd = lock;
    return REC_OK;
}

void rec_lock_release(int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}
